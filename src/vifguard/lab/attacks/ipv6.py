"""Group E: IPv6 sources and header chains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import (
    PASS,
    Attack,
    Expectations,
    Frame,
    Variant,
    VariantsOf,
    drop,
    on,
)
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Layer

_PUBLIC = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP))
_FOREIGN = on(strict=drop(Guard.IP), mac=PASS, router=PASS)
_ND = on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND))
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_DHCP = on(strict=drop(Guard.DHCP), mac=PASS, router=drop(Guard.DHCP))
_ROLE_BEHIND_ROUTING = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.DHCP))
_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))
_HARMLESS = on(strict=PASS, mac=PASS, router=PASS)


_row = VariantsOf(_PUBLIC, twin="L29/udp6")


def _from(source: Callable[[Actors], IPv6Address]) -> Frame:
    return lambda c: f.udp6(c, src=source(c))


def _in_prefix(c: Actors) -> IPv6Address:
    """The sender's own interface identifier in the segment's prefix: nobody gave it that."""
    return IPv6Address(c.net6.network_address.packed[:8] + c.a.ll.packed[8:])


# Messages hidden behind extension headers

_CHAINS: dict[str, tuple[f.Around, ...]] = {
    "hop-by-hop": (build.hop_by_hop,),
    "destination": (build.destination_options,),
    "hop-by-hop-destination": (build.hop_by_hop, build.destination_options),
    "destination-9": (build.destination_options,) * 9,
    "routing-0": (partial(build.routing, data=bytes(4) + bytes(16)),),
}

_Hidden = Callable[[Actors, tuple[f.Around, ...]], bytes]

_HIDDEN: dict[str, tuple[_Hidden, str, Expectations, Expectations]] = {
    # name: the frame, its twin, its outcome, and its outcome behind a routing header
    "ra": (lambda c, chain: f.ra(c, chain=chain), "L09/link-local", _ND, _ND),
    "na": (lambda c, chain: f.own_na(c, c.v.ip6, chain=chain), "L11/unsolicited", _ND, _ND),
    "na-victims-mac": (
        lambda c, chain: f.na(c, c.a.ip6, f.tlla(c.v.mac), chain=chain),
        "L11/unsolicited",
        _MAC,
        _MAC,
    ),
    "dhcp6-server": (
        lambda c, chain: f.udp6(
            c, 547, 546, f.dhcp6(f.ADVERTISE, c.v.mac), src=c.a.ll, dst=c.v.ll, chain=chain
        ),
        "L08/unicast",
        _DHCP,
        _ROLE_BEHIND_ROUTING,
    ),
    "tcp": (lambda c, chain: f.tcp6(c, src=c.v.ip6, chain=chain), "L29/tcp6", _PUBLIC, _PUBLIC),
}


def _hidden() -> Iterator[Variant]:
    for name, (make, twin, expect, behind_routing) in _HIDDEN.items():
        for chain, headers in _CHAINS.items():
            expected = {"routing-0": behind_routing, "destination-9": _MAC}.get(chain, expect)
            yield _row(
                f"{name}-behind-{chain}",
                lambda c, make=make, headers=headers: make(c, headers),  # type: ignore[misc]
                expect=expected,
                twin=twin,
            )


def _routed(kind: int, left: int) -> Frame:
    """An own datagram with a routing header by way of the victim."""

    def around(c: Actors) -> f.Around:
        return partial(build.routing, kind=kind, segments_left=left, data=bytes(4) + c.v.ip6.packed)

    return lambda c: f.udp6(c, chain=(around(c),))


# Addresses of the other family


def _embedded(prefix: str, suffix: str = "") -> Callable[[Actors], IPv6Address]:
    head, tail = bytes.fromhex(prefix), bytes.fromhex(suffix)

    def address(c: Actors) -> IPv6Address:
        middle = c.v.ip4.packed + tail
        return IPv6Address(head + bytes(16 - len(head) - len(middle)) + middle)

    return address


def _six_to_four(c: Actors) -> IPv6Address:
    return IPv6Address(b"\x20\x02" + c.v.ip4.packed + bytes(9) + b"\x01")


def _inner6(c: Actors) -> Layer:
    return build.ipv6(c.v.ip6, c.p.ip6, build.udp(1, 1, f.DATA))


def _inner4(c: Actors) -> Layer:
    return build.ipv4(c.v.ip4, c.p.ip4, build.udp(1, 1, f.DATA))


ROWS: tuple[Attack, ...] = (
    Attack(
        id="ip6-src-victim",
        title="Another's source address",
        group="E",
        guard=Guard.IP,
        variants=(
            _row("udp", _from(lambda c: c.v.ip6)),
            _row("tcp", lambda c: f.tcp6(c, src=c.v.ip6), twin="L29/tcp6"),
            _row("gateway", _from(lambda c: c.g.ip6)),
            _row("multicast", _from(lambda _c: f.ALL_NODES), expect=_FOREIGN),
            _row("loopback", _from(lambda _c: IPv6Address("::1")), expect=_FOREIGN),
            _row("own-identifier-in-the-prefix", _from(_in_prefix)),
        ),
    ),
    Attack(
        id="ip6-nexthdr-vs-l4proto",
        title="Banned messages behind extension headers",
        group="E",
        guard=Guard.IP,
        variants=tuple(_hidden()),
    ),
    Attack(
        id="ip6-routing-header",
        title="Routing headers",
        group="E",
        guard=Guard.IP,
        published=("RFC 5095",),
        variants=(
            _row("type-0", _routed(0, 1), expect=_FOREIGN),
            _row("type-2", _routed(2, 1), expect=_FOREIGN),
            _row("segment-routing", _routed(4, 1), expect=_FOREIGN),
        ),
    ),
    Attack(
        id="ip6-embedded-v4",
        title="IPv6 sources that embed another's IPv4 address",
        group="E",
        guard=Guard.IP,
        published=("RFC 4038", "RFC 4380", "RFC 3056", "RFC 5214"),
        variants=(
            _row("mapped", _from(_embedded("00000000000000000000ffff")), expect=_FOREIGN),
            _row("compatible", _from(_embedded("000000000000000000000000")), expect=_FOREIGN),
            _row("6to4", _from(_six_to_four), expect=_FOREIGN),
            _row("isatap", _from(_embedded("fe8000000000000000005efe")), expect=_FOREIGN),
            _row("nat64", _from(_embedded("0064ff9b")), expect=_FOREIGN),
            _row("6in4", lambda c: f.ip4(c, _inner6(c), f.IP6_IN_IP), expect=_HARMLESS),
            _row("4in6", lambda c: f.ip6(c, _inner4(c), f.IPIP), expect=_HARMLESS),
            _row("teredo", lambda c: f.udp4(c, 3544, 3544, _inner6(c).octets), expect=_HARMLESS),
        ),
        note="A tunnel's payload is opaque: nobody but its own far end takes it for a source.",
    ),
    Attack(
        id="ip6-length-lies",
        title="Payload lengths and versions that lie",
        group="E",
        guard=Guard.IP,
        variants=(
            _row("zero-without-jumbo", lambda c: f.udp6(c, length=0), expect=_TYPE),
            _row("past-the-frame", lambda c: f.udp6(c, length=1400), expect=_TYPE),
            _row("version-4", lambda c: f.udp6(c, version=4), expect=_TYPE),
            _row("cuts-the-upper-header", lambda c: f.udp6(c, length=4), expect=_MAC),
            _row("trailing-octets", lambda c: f.udp6(c, trailer=b"\xa5" * 100), expect=_HARMLESS),
            _row(
                "spoofed-before-trailing-octets",
                lambda c: f.udp6(c, src=c.v.ip6, trailer=b"\xa5" * 100),
            ),
        ),
    ),
)
