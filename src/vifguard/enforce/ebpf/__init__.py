"""The eBPF driver: policies in maps, programs at the interfaces' hooks, both pinned."""
