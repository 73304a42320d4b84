"""Drivers: one PortPolicy in, the kernel's guards out. A driver is one file."""
