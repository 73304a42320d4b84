"""IPv6: header and the chain of extension headers (RFC 8200)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from vifguard.packet.transport import LaterFragment, Upper, read_upper6
from vifguard.packet.undecoded import Unreadable

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT_HEADER = 0, 43, 44, 51, 59
DESTINATION, MOBILITY, HIP, SHIM6 = 60, 135, 139, 140

EXTENSIONS = frozenset(
    {HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, MOBILITY, HIP, SHIM6}
)
EXTENSIONS_AT_MOST = 8
"""Headers that are followed; no host sends more."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension header; `octets` are those of the whole, next header and length included."""

    kind: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """The fields of a fragment header. `offset` counts 8-octet units."""

    offset: int
    more: bool
    ident: int


@dataclass(frozen=True, slots=True)
class IPv6:
    """A packet; `protocol` is the number at which the chain ended, however it ended.

    `fragment` is there for an atomic fragment (offset 0 and no more) too.
    """

    src: IPv6Address
    dst: IPv6Address
    hop_limit: int
    traffic_class: int
    flow_label: int
    payload_length: int
    next_header: int
    extensions: tuple[Extension, ...]
    fragment: Fragment | None
    protocol: int
    upper: Upper

    @property
    def size(self) -> int:
        """Octets of the packet, its header included."""
        return 40 + self.payload_length

    @property
    def header_length(self) -> int:
        """Octets in front of the upper layer."""
        return 40 + sum(len(each.octets) for each in self.extensions)


def read_ip6(octets: bytes, *, is_big: bool = False) -> IPv6 | Unreadable:
    """The packet at the start of `octets`; octets behind its payload length are padding.

    `is_big`: a payload length of 0 stands for all octets (BIG TCP, Linux 5.19).
    """
    if len(octets) < 40:
        return Unreadable("an IPv6 header is shorter than 40 octets", octets)
    first = int.from_bytes(octets[:4], "big")
    length, next_header = octets[4] << 8 | octets[5], octets[6]
    if is_big and length == 0:
        length = len(octets) - 40
    if first >> 28 != 6:
        return Unreadable(f"version {first >> 28} in an IPv6 header", octets)
    if 40 + length > len(octets):
        return Unreadable(f"an IPv6 payload of {length} in {len(octets)} octets", octets)
    if length == 0 and next_header != NO_NEXT_HEADER:
        return Unreadable("an IPv6 payload of no length (a jumbogram?)", octets)
    chain = follow(next_header, octets[40 : 40 + length])
    return IPv6(
        IPv6Address(octets[8:24]),
        IPv6Address(octets[24:40]),
        octets[7],
        first >> 20 & 0xFF,
        first & 0xFFFFF,
        length,
        next_header,
        chain.extensions,
        chain.fragment,
        chain.protocol,
        _upper(chain),
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """Extension headers, and the octets behind them; `broken`: the reason if they end too early."""

    extensions: tuple[Extension, ...]
    fragment: Fragment | None
    protocol: int
    octets: bytes
    broken: str = ""

    @property
    def is_later(self) -> bool:
        """Whether it ends in a later fragment, of which no more can be read."""
        return self.fragment is not None and self.fragment.offset > 0


def follow(protocol: int, octets: bytes) -> Chain:
    """The chain from the first next header to the upper layer, or to where it breaks."""
    extensions: list[Extension] = []
    fragment: Fragment | None = None
    why = ""
    while protocol in EXTENSIONS and not (fragment and fragment.offset):
        why = _objection(protocol, octets, extensions, fragment)
        if why:
            break
        size = _size(protocol, octets)
        header, octets = octets[:size], octets[size:]
        extensions.append(Extension(protocol, header))
        if protocol == FRAGMENT:
            fragment = _read_fragment(header)
        protocol = header[0]
    return Chain(tuple(extensions), fragment, protocol, octets, why)


def _upper(chain: Chain) -> Upper:
    if chain.broken:
        return Unreadable(chain.broken, chain.octets)
    if chain.is_later:
        return LaterFragment(chain.protocol, chain.octets)
    return read_upper6(chain.protocol, chain.octets)


def _objection(kind: int, octets: bytes, before: list[Extension], fragment: Fragment | None) -> str:
    """Why the header at the start of `octets` cannot be passed over; empty if it can."""
    if len(before) == EXTENSIONS_AT_MOST:
        return f"more than {EXTENSIONS_AT_MOST} extension headers"
    if kind == HOP_BY_HOP and before:
        return "hop-by-hop options that are not first"
    if kind == FRAGMENT and fragment is not None:
        return "a second fragment header"
    if len(octets) < 8 or len(octets) < _size(kind, octets):
        return "an extension header is cut short"
    return ""


def _size(kind: int, octets: bytes) -> int:
    if kind == FRAGMENT:
        return 8
    if kind == AUTHENTICATION:
        return (octets[1] + 2) * 4
    return (octets[1] + 1) * 8


def _read_fragment(header: bytes) -> Fragment:
    place = header[2] << 8 | header[3]
    return Fragment(place >> 3, bool(place & 1), int.from_bytes(header[4:8], "big"))
