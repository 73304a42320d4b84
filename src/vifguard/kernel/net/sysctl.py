"""Settings under /proc/sys/net, of the network namespace of the calling thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_ROOT = "/proc/sys/net"

NO_HOST_IPV6: Mapping[str, str] = {
    "ipv6/conf/{}/disable_ipv6": "1",
    "ipv6/conf/{}/accept_ra": "0",
}
"""The host itself has no IPv6 on an interface, nor is configured through it."""

NO_HOST_IP: Mapping[str, str] = {
    **NO_HOST_IPV6,
    "ipv4/conf/{}/arp_ignore": "8",
    "ipv4/conf/{}/rp_filter": "1",
    "ipv4/conf/{}/forwarding": "0",
}
"""The host answers no ARP on an interface, takes no IPv4 from it and routes none."""


def write(interface: str, settings: Mapping[str, str]) -> None:
    """Set the `settings` of an interface; `{}` in a name stands for the interface.

    A family that this kernel does not have has nothing to set. Raises OSError.
    """
    for name, value in settings.items():
        # A dot would be a slash to sysctl(8), but is an ordinary character in a path.
        _write(f"{_ROOT}/{name.format(interface)}", value.encode())


def bridge_netfilter() -> tuple[str, ...]:
    """The tables that br_netfilter shows bridged packets to (`iptables`, ...).

    Of the calling thread's network namespace; none without br_netfilter.
    """
    tables = ("iptables", "ip6tables", "arptables")
    return tuple(table for table in tables if _is_on(f"{_ROOT}/bridge/bridge-nf-call-{table}"))


def _is_on(path: str) -> bool:
    try:
        return Path(path).read_bytes().strip() != b"0"
    except FileNotFoundError:
        return False


def read(interface: str, names: Iterable[str]) -> dict[str, str]:
    """The values of settings of an interface; those that this kernel lacks are left out."""
    found = {}
    for name in names:
        with suppress(FileNotFoundError):
            found[name] = _read(f"{_ROOT}/{name.format(interface)}")
    return found


def _read(path: str) -> str:
    """Read a setting: thousands every few seconds, for which pathlib takes five times as long."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096).decode("ascii").strip()
    finally:
        os.close(file)


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
