"""Segments: a network as one host sees it, as one of a closed set of kinds.

In JSON the member `type` says which kind, by Neutron's names of network types. Each kind has its
own members, and no others. An agent reads a kind that it does not know as `UnknownKind`, so that
a newer server's ports are held closed with that reason, and those of other networks go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOCAL, FLAT = "local", "flat"


@dataclass(frozen=True, slots=True)
class Local:
    """A network within the host: its ports on other hosts are not reached."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A network that leaves the host, untagged, by a physical network that the operator names."""

    physical: str


@dataclass(frozen=True, slots=True)
class UnknownKind:
    """A kind that this version does not know, by its `type`."""

    type: str


SegmentKind = Local | Flat | UnknownKind


@dataclass(frozen=True, slots=True)
class Segment:
    """A network as a host sees it. `shared` False: it is one project's own, kept from all others.

    `mtu` is in octets, without the Ethernet header.
    """

    network_id: str
    shared: bool
    mtu: int
    kind: SegmentKind = Local()

    @property
    def physical(self) -> str:
        """The physical network by which it leaves the host; empty where it does not."""
        return self.kind.physical if isinstance(self.kind, Flat) else ""


def encode_kind(kind: SegmentKind) -> dict[str, str]:
    """The kind as JSON members."""
    match kind:
        case Local():
            return {"type": LOCAL}
        case Flat(physical):
            return {"type": FLAT, "physical_network": physical}
        case UnknownKind(name):
            return {"type": name}


def decode_kind(raw: Any) -> SegmentKind:
    """The kind of JSON members; ValueError where a known one has other members than its own."""
    name = raw.get("type") if isinstance(raw, Mapping) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{raw!r} is no kind of segment: it has no type")
    if name == LOCAL and raw.keys() == {"type"}:
        return Local()
    if name == FLAT and raw.keys() == {"type", "physical_network"}:
        physical = raw["physical_network"]
        if isinstance(physical, str) and physical:
            return Flat(physical)
    if name in (LOCAL, FLAT):
        raise ValueError(f"{raw!r} is no segment of the kind {name}")
    return UnknownKind(name)
