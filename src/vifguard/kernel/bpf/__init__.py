"""bpf(2), objects and their types, the file system of pins, ring buffers, TCX."""
