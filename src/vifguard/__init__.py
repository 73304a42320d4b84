"""vifguard: which frames a virtual interface may send and receive, held in the kernel.

Rooms import only downwards (docs/ARCHITECTURE.md draws the arrow; import-linter holds it).
"""

__version__ = "0.1.0"
