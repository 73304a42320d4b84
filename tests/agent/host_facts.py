"""Ports and links as values, for the tests that touch no machine."""

from __future__ import annotations

from typing import Any

from vifguard.feed.messages import HostPort, Update
from vifguard.feed.segment import Flat, Local, Segment, SegmentKind
from vifguard.kernel.net.link import Link
from vifguard.model.address import Mac, parse_prefix
from vifguard.model.guard import GUARDS_OF, Profile
from vifguard.model.policy import PortPolicy


def port_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def network_id(number: int) -> str:
    return f"{number:08x}-1111-4000-8000-000000000000"


def mac(number: int, first: int = 0x02) -> Mac:
    return Mac(bytes((first, 0, 0, 0)) + number.to_bytes(2, "big"))


def tap(number: int) -> str:
    return f"tap{number:08x}-00"


def bridge(number: int) -> str:
    return f"vg{number:08x}-11"


def port(
    number: int,
    *,
    network: int = 1,
    interface: str = "",
    own: Mac | None = None,
    shared: bool = True,
    physical: str = "",
    kind: SegmentKind | None = None,
    revision: int = 1,
    closed: str = "",
) -> HostPort:
    own = own or mac(number)
    prefixes = frozenset({parse_prefix(f"10.9.0.{number}")})
    guards = GUARDS_OF[Profile.STRICT]
    policy = PortPolicy(port_id(number), guards, frozenset({own}), prefixes, closed=closed)
    kind = kind or (Flat(physical) if physical else Local())
    segment = Segment(network_id(network), shared, 1500, kind)
    return HostPort(policy, segment, own, interface, revision)


def link(index: int, name: str, number: int = 0, **more: Any) -> Link:
    """A device; `number` is that of the guest whose MAC libvirt gave it, 0 for none."""
    own = mac(number, 0xFE) if number else mac(index, 0x06)
    return Link(index, name, own, **({"kind": "tun"} | more))


def update(*ports: HostPort, revision: int = 1, gone: frozenset[str] = frozenset()) -> Update:
    return Update(revision, complete=False, ports=ports, gone=gone)


def complete(*ports: HostPort, revision: int = 1) -> Update:
    return Update(revision, complete=True, ports=ports)
