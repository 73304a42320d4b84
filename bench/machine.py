"""The machine that the figures are of."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from vifguard import __version__


def describe() -> dict[str, Any]:
    """Processor, memory, kernel, versions and load, for the head of a result."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": int(memory[1]) // 1024 if memory else None,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "vifguard": __version__,
        "load": os.getloadavg(),
    }
