"""The layout of a frame: its fields, the values worth trying there, and its header borders.

Written from the RFCs a third time, apart from both that are compared, and allowed to be
wrong: it only guides the search.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fuzz import vocabulary

TYPES = tuple(
    number.to_bytes(2, "big")
    for number in (
        *(0x0800, 0x0806, 0x86DD, 0x8035, 0x8100, 0x88A8, 0x9100, 0x9200, 0x88B5, 0x0842),
        *(0x8808, 0x8809, 0x888E, 0x88C7, 0x88CC, 0x88E5, 0x8902, 0x9000, 0x8863, 0x8847),
        *(0, 3, 46, 1500, 0x05FF, 0x0600, 0xFFFF, 0x0008),
    )
)
EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)
PROTOCOLS = tuple(bytes((n,)) for n in (*EXTENSIONS, 1, 2, 4, 6, 17, 41, 50, 58, 59, 132, 253, 255))
_BYTES = tuple(bytes((n,)) for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 63, 64, 127, 128, 254, 255))
_PORTS = tuple(n.to_bytes(2, "big") for n in (0, 53, 66, 67, 68, 69, 545, 546, 547, 548, 0x4300))
_HOPS = tuple(bytes((n,)) for n in (0, 1, 2, 64, 254, 255))
_FRAGMENTS = tuple(
    n.to_bytes(2, "big")
    for n in (0, 1, 2, 6, 7, 8, 9, 185, 0x1FFF, 0x2000, 0x2001, 0x4000, 0x8000, 0xFFF8, 0xFFFF)
)
_ICMP6 = tuple(bytes((n,)) for n in (1, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 143))
_ICMP4 = tuple(bytes((n,)) for n in (0, 3, 4, 5, 6, 8, 9, 10, 11, 13))
_IGMP = tuple(bytes((n,)) for n in (0x11, 0x12, 0x13, 0x16, 0x17, 0x22, 0x30))
_IP4_OPTIONS = tuple(bytes((n,)) for n in (0, 1, 3, 7, 68, 82, 130, 131, 136, 137, 148))
_ND_OPTIONS = tuple(bytes((n,)) for n in (0, 1, 2, 3, 5, 14, 24, 255))
_DHCP_OPTIONS = tuple(bytes((n,)) for n in (0, 1, 52, 53, 61, 81, 82, 83, 254, 255))
_DHCP6 = tuple(bytes((n,)) for n in range(15))
_FIXED = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}
_MOST = 24
"""Options, headers and tags that are distinguished; behind them a frame is only octets."""

Field = tuple[int, int, tuple[bytes, ...]]
"""Offset, offset behind it, and values."""


@dataclass(slots=True)
class Layout:
    """Fields and header borders (edges) of one frame. `upper` and `network` are 0 where unknown."""

    fields: list[Field] = field(default_factory=list)
    edges: list[int] = field(default_factory=lambda: [0, 6, 12, 14])
    network: int = 0
    upper: int = 0

    def add(self, at: int, size: int, values: tuple[bytes, ...]) -> None:
        """A field."""
        self.fields.append((at, at + size, values))


def layout(frame: bytes) -> Layout:
    """Of any bytes."""
    found = Layout()
    found.add(0, 6, vocabulary.MACS)
    found.add(6, 6, vocabulary.MACS)
    found.add(12, 2, TYPES)
    kind, at = frame[12:14], 14
    while kind in (b"\x81\x00", b"\x88\xa8", b"\x91\x00", b"\x92\x00") and len(found.edges) < _MOST:
        found.add(at + 2, 2, TYPES)
        kind, at = frame[at + 2 : at + 4], at + 4
        found.edges.append(at)
    if kind in (b"\x08\x06", b"\x80\x35"):
        _arp(found, at)
    elif kind == b"\x08\x00" and len(frame) >= at + 20:
        _ip4(found, frame, at)
    elif kind == b"\x86\xdd" and len(frame) >= at + 40:
        _ip6(found, frame, at)
    # A cut frame has fields behind its end.
    found.fields = [each for each in found.fields if each[1] <= len(frame)]
    found.edges = sorted({*(edge for edge in found.edges if edge <= len(frame)), len(frame)})
    return found


def _arp(found: Layout, at: int) -> None:
    found.network = at
    for place, size in ((0, 2), (2, 2), (6, 2)):
        found.add(at + place, size, near(1, size) + ((b"\x08\x00", b"\x08\x06") * (size - 1)))
    found.add(at + 4, 1, _BYTES)
    found.add(at + 5, 1, _BYTES)
    found.add(at + 6, 2, tuple(n.to_bytes(2, "big") for n in (0, 1, 2, 3, 4, 8, 9, 25, 256, 257)))
    for place in (8, 18):
        found.add(at + place, 6, vocabulary.MACS)
        found.add(at + place + 6, 4, vocabulary.IP4)
    found.edges += [at + 8, at + 14, at + 18, at + 24, at + 28, 60, 61]


def _ip4(found: Layout, frame: bytes, at: int) -> None:
    found.network = at
    end = min(len(frame), at + int.from_bytes(frame[at + 2 : at + 4], "big"))
    upper = at + max(20, (frame[at] & 15) * 4)
    found.add(at, 1, tuple(bytes((n,)) for n in (*range(0x40, 0x50), 0x55, 0x65, 0x60, 0x05)))
    found.add(at + 2, 2, near(end - at, 2) + near(len(frame) - at, 2) + near(upper - at, 2))
    found.add(at + 6, 2, _FRAGMENTS)
    found.add(at + 8, 1, _HOPS)
    found.add(at + 9, 1, PROTOCOLS)
    found.add(at + 12, 4, vocabulary.IP4)
    found.add(at + 16, 4, vocabulary.IP4)
    found.edges.append(at + 20)
    here, steps = at + 20, 0
    while here + 1 < min(upper, len(frame)) and steps < _MOST:
        found.add(here, 1, _IP4_OPTIONS)
        if frame[here] > 1:
            found.add(here + 1, 1, near(frame[here + 1], 1) + near(upper - here, 1))
        here += 1 if frame[here] < 2 else max(2, frame[here + 1])
        steps += 1
        found.edges.append(here)
    _upper(found, frame, frame[at + 9], upper, 4)


def _ip6(found: Layout, frame: bytes, at: int) -> None:
    found.network = at
    end = len(frame)
    found.add(at, 1, tuple(bytes((n,)) for n in (0x60, 0x6F, 0x40, 0x45, 0x50, 0x70, 0x00)))
    said = int.from_bytes(frame[at + 4 : at + 6], "big")
    found.add(at + 4, 2, near(end - at - 40, 2) + near(said, 2) + (b"\x00\x00",))
    found.add(at + 6, 1, PROTOCOLS)
    found.add(at + 7, 1, _HOPS)
    found.add(at + 8, 16, vocabulary.IP6)
    found.add(at + 24, 16, vocabulary.IP6)
    protocol, here, steps = frame[at + 6], at + 40, 0
    found.edges += [at + 8, at + 24, here]
    while protocol in EXTENSIONS and here + 8 <= end and steps < _MOST:
        found.add(here, 1, PROTOCOLS)
        size = (frame[here + 1] + 1) * 8
        if protocol == 44:
            size = 8
            found.add(here + 2, 2, _FRAGMENTS)
        else:
            left = (end - here) // 8 - 1
            found.add(here + 1, 1, _BYTES + near(frame[here + 1], 1) + near(left & 255, 1))
            found.add(here + 2, 4, (b"\x05\x02\x00\x00", b"\x01\x00\x05\x02", b"\x05\x02\x00\x01"))
        if protocol == 51:
            size = (frame[here + 1] + 2) * 4
        protocol, here, steps = frame[here], here + size, steps + 1
        found.edges.append(here)
    _upper(found, frame, protocol, here, 6)


def _upper(found: Layout, frame: bytes, protocol: int, at: int, family: int) -> None:
    found.upper = at
    found.edges.append(at)
    if protocol == 17:
        found.add(at, 2, _PORTS)
        found.add(at + 2, 2, _PORTS)
        found.add(at + 4, 2, near(len(frame) - at, 2))
        found.edges.append(at + 8)
        if family == 4:
            _dhcp4(found, frame, at + 8)
        else:
            found.add(at + 8, 1, _DHCP6)
            found.edges.append(at + 12)
    elif protocol == 6:
        found.edges.append(at + 20)
    elif protocol == 58:
        _icmp6(found, frame, at)
    elif protocol in (1, 2):
        found.add(at, 1, _ICMP4 if protocol == 1 else _IGMP)
        found.edges += [at + 4, at + 8]


def _icmp6(found: Layout, frame: bytes, at: int) -> None:
    found.add(at, 1, _ICMP6)
    found.add(at + 1, 1, _BYTES)
    found.add(at + 4, 1, (b"\x00", b"\x40", b"\x20", b"\x60", b"\xbf", b"\xff"))
    found.add(at + 8, 16, vocabulary.IP6)
    found.add(at + 24, 16, vocabulary.IP6)
    kind = frame[at] if at < len(frame) else 0
    here, steps = at + _FIXED.get(kind, 8), 0
    found.edges += [at + 4, at + 8, here]
    while kind in _FIXED and here + 8 <= len(frame) and steps < _MOST:
        found.add(here, 1, _ND_OPTIONS)
        found.add(here + 1, 1, _BYTES)
        found.add(here + 2, 6, vocabulary.MACS)
        here, steps = here + max(1, frame[here + 1]) * 8, steps + 1
        found.edges.append(here)


def _dhcp4(found: Layout, frame: bytes, at: int) -> None:
    found.edges += [at + place for place in (12, 16, 24, 28, 34, 236, 240)]
    for place in (0, 1, 2):
        found.add(at + place, 1, _BYTES)
    for place in (12, 16, 24):
        found.add(at + place, 4, vocabulary.IP4)
    found.add(at + 28, 6, vocabulary.MACS)
    found.add(at + 236, 4, (b"\x63\x82\x53\x63", b"\x63\x82\x53\x64", bytes(4)))
    here, steps = at + 240, 0
    while here + 1 < len(frame) and steps < _MOST:
        found.add(here, 1, _DHCP_OPTIONS)
        found.add(here + 1, 1, near(frame[here + 1], 1) + near((len(frame) - here) & 255, 1))
        here += 1 if frame[here] in (0, 255) else 2 + frame[here + 1]
        steps += 1
        found.edges.append(here)


def near(value: int, size: int) -> tuple[bytes, ...]:
    """The number, its neighbours, and the ends of its range."""
    top = (1 << 8 * size) - 1
    wanted = (value - 8, value - 1, value, value + 1, value + 8, 0, 1, top >> 1, top)
    return tuple({(number & top).to_bytes(size, "big"): None for number in wanted})
