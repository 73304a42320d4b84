"""Settings under /proc/sys/net, of the network namespace of the calling thread."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_ROOT = "/proc/sys/net"

ALONE: Mapping[str, str] = {
    "ipv6/conf/{}/disable_ipv6": "1",
    "ipv6/conf/{}/accept_ra": "0",
}
"""The host itself does not speak IPv6 on an interface, nor is configured through it."""

DEAF: Mapping[str, str] = {
    **ALONE,
    "ipv4/conf/{}/arp_ignore": "8",
    "ipv4/conf/{}/rp_filter": "1",
    "ipv4/conf/{}/forwarding": "0",
}
"""The host answers no ARP on an interface, takes no IPv4 from it and routes none."""


def write(interface: str, settings: Mapping[str, str]) -> None:
    """Set what `settings` says of an interface; `{}` in a name stands for the interface.

    A family that this kernel does not have has nothing to set. Raises OSError.
    """
    for name, value in settings.items():
        # A dot would be a slash to sysctl(8), but is an ordinary character in a path.
        _write(f"{_ROOT}/{name.format(interface)}", value.encode())


def _write(path: str, value: bytes) -> None:
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if _has_family(path):
            raise
        return
    try:
        os.write(file, value)
    finally:
        os.close(file)


def _has_family(path: str) -> bool:
    family = path.removeprefix(_ROOT).split("/")[1]
    return Path(_ROOT, family, "conf", "all").is_dir()
