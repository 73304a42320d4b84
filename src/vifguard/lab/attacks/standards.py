"""Group X: our own rows, from the standards: each length, count, pointer and order of headers.

What a filter reads it can misread. Each row takes one field that says how long something is,
how many there are, or what comes next, and lets it lie, at its ends and one beside them; where
the lie is harmless the row says so, and the same frame with a stolen identity must still die.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address
from typing import Any, Unpack

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Effect,
    Expectations,
    Frame,
    Variant,
    drop,
    on,
)
from vifguard.lab.attacks.cast import Cast
from vifguard.lab.attacks.legal import ALL_MLD, offer
from vifguard.model.guard import Guard
from vifguard.packet import build
from vifguard.packet.build import Piece

_TYPE = on(drop(Guard.ETHERTYPE), drop(Guard.ETHERTYPE), drop(Guard.ETHERTYPE))
_MAC = on(drop(Guard.MAC), drop(Guard.MAC), drop(Guard.MAC))
_ARP = on(drop(Guard.ARP), PASS, drop(Guard.ARP))
_ND = on(drop(Guard.ND), PASS, drop(Guard.ND))
_RA = on(drop(Guard.RA), PASS, drop(Guard.RA))
_DHCP = on(drop(Guard.DHCP), PASS, drop(Guard.DHCP))
_PUBLIC = on(drop(Guard.IP), PASS, drop(Guard.PUBLIC_IP))
_ADDRESS = on(drop(Guard.IP), PASS, PASS)
_UNREADABLE_4 = on(drop(Guard.IP), PASS, drop(Guard.DHCP))
_HARMLESS = on(PASS, PASS, PASS)

_UDP4, _UDP6, _TCP4, _TCP6 = "L29/udp4", "L29/udp6", "L29/tcp4", "L29/tcp6"


def _row(
    name: str,
    frame: Frame,
    expect: Expectations,
    twin: str,
    *,
    actor: Actor = Actor.GUEST,
    effect: Effect = Effect.DELIVERY,
) -> Variant:
    return Variant(name=name, frame=frame, expect=expect, twin=twin, actor=actor, effect=effect)


def _attack(name: str, title: str, rfc: str, guard: Guard, *variants: Variant) -> Attack:
    published = tuple(f"RFC {each}" for each in rfc.split(", "))
    return Attack(
        id=name, title=title, group="X", guard=guard, published=published, variants=variants
    )


def _stolen4(name: str, frame: Callable[..., bytes], twin: str = _UDP4) -> Variant:
    """The same frame with the victim's address."""
    return _row(f"{name}-stolen", lambda c: frame(c, src=c.v.ip4), _PUBLIC, twin)


def _stolen6(name: str, frame: Callable[..., bytes], twin: str = _UDP6) -> Variant:
    return _row(f"{name}-stolen", lambda c: frame(c, src=c.v.ip6), _PUBLIC, twin)


def _pair4(name: str, frame: Callable[..., bytes], twin: str = _UDP4) -> tuple[Variant, Variant]:
    """Harmless from one's own address, and stolen."""
    return _row(name, frame, _HARMLESS, twin), _stolen4(name, frame, twin)


def _pair6(name: str, frame: Callable[..., bytes], twin: str = _UDP6) -> tuple[Variant, Variant]:
    return _row(name, frame, _HARMLESS, twin), _stolen6(name, frame, twin)


# Ethernet


def _retyped(kind: int, frame: Frame) -> Frame:
    """A legal frame's payload under another type."""
    return lambda c: frame(c)[:12] + kind.to_bytes(2, "big") + frame(c)[14:]


_LINK = (
    _attack(
        "x-ethernet-types-beside-ours",
        "Types one beside those that are read, and those of old encapsulations of IP",
        "894, 893",
        Guard.ETHERTYPE,
        *(
            _row(f"{kind:04x}", _retyped(kind, f.udp4), _TYPE, _UDP4)
            for kind in (0x0600, 0x07FF, 0x0801, 0x0805, 0x0807, 0x1000, 0x86DC, 0x86DE, 0xFFFF)
        ),
    ),
    _attack(
        "x-ethernet-length-at-its-ends",
        "802.3 lengths 0 and 1535 before an IP packet",
        "1042",
        Guard.ETHERTYPE,
        _row("zero", _retyped(0, f.udp4), _TYPE, _UDP4),
        _row("1535", _retyped(0x05FF, f.udp4), _TYPE, _UDP4),
    ),
    _attack(
        "x-type-and-version-disagree",
        "A packet of one family under the other's type",
        "894, 2464",
        Guard.ETHERTYPE,
        _row("ipv6-under-ipv4", _retyped(0x0800, f.udp6), _TYPE, _UDP4),
        _row("ipv4-under-ipv6", _retyped(0x86DD, f.udp4), _TYPE, _UDP6),
        _row("arp-under-ipv4", _retyped(0x0800, lambda c: f.arp(c, 1)), _TYPE, "L04/broadcast"),
        _row("arp-under-ipv6", _retyped(0x86DD, lambda c: f.arp(c, 1)), _TYPE, "L04/broadcast"),
    ),
)

# ARP


def _cut(frame: Frame, octets: int) -> Frame:
    """The frame, ended after so many octets behind the Ethernet header."""
    return lambda c: frame(c)[: 14 + octets]


def _stolen_reply(c: Cast) -> bytes:
    return f.arp(c, 2, spa=c.v.ip4)


_ARP_ROWS = (
    _attack(
        "x-arp-ends-in-each-field",
        "ARP that ends inside each of its fields",
        "826",
        Guard.MAC,
        *(
            _row(f"{octets}-octets", _cut(_stolen_reply, octets), _MAC, "L05/unicast")
            for octets in (1, 2, 4, 5, 6, 8, 13, 18, 23, 27)
        ),
    ),
    _attack(
        "x-arp-address-lengths",
        "Address lengths zero, one beside, and the largest",
        "826",
        Guard.MAC,
        *(
            _row(
                f"hardware-{octets}",
                lambda c, octets=octets: f.arp(c, 2, spa=c.v.ip4, hardware_length=octets),  # type: ignore[misc]
                _MAC,
                "L05/unicast",
            )
            for octets in (0, 5, 7, 255)
        ),
        *(
            _row(
                f"protocol-{octets}",
                lambda c, octets=octets: f.arp(c, 2, spa=c.v.ip4, protocol_length=octets),  # type: ignore[misc]
                _MAC,
                "L05/unicast",
            )
            for octets in (0, 3, 5, 255)
        ),
    ),
    _attack(
        "x-arp-operations-at-their-ends",
        "Operations that nobody assigned",
        "826, 5494",
        Guard.ARP,
        *(
            _row(f"{op}", lambda c, op=op: f.arp(c, op), _ARP, "L05/unicast")  # type: ignore[misc]
            for op in (0, 5, 255, 256, 257, 512, 65535)
        ),
    ),
    _attack(
        "x-rarp-behind-its-end",
        "An announcement with more behind it than a frame must be filled with",
        "903",
        Guard.ETHERTYPE,
        _row("19-octets", lambda c: f.rarp(c, trailer=bytes(19)), _TYPE, "L19/padded"),
        _row("1400-octets", lambda c: f.rarp(c, trailer=bytes(1400)), _TYPE, "L19/padded"),
    ),
)

# IPv4


def _with_options(octets: bytes) -> Callable[..., bytes]:
    return partial(f.udp4, options=octets)


def _with(**fields: int) -> Callable[..., bytes]:
    return partial(f.udp4, **fields)  # type: ignore[arg-type]


def _total(beside: int) -> Frame:
    """A total length so much beside the true one."""
    return lambda c: f.udp4(c, total=len(f.udp4(c)) - 14 + beside)


_LSRR_LAST = b"\x01" * 29 + b"\x83\x0b\x04" + bytes(8)

_IPV4_ROWS = (
    _attack(
        "x-ip4-versions",
        "Each version that is not 4",
        "791",
        Guard.ETHERTYPE,
        *(
            _row(f"{version}", _with(version=version), _TYPE, _UDP4)
            for version in (0, 1, 3, 5, 7, 15)
        ),
    ),
    _attack(
        "x-ip4-header-lengths",
        "Header lengths below five words, and above the packet",
        "791",
        Guard.ETHERTYPE,
        *(_row(f"{words}-words", _with(ihl=words), _TYPE, _UDP4) for words in (0, 1, 4)),
        _row("15-words-of-28-octets", lambda c: f.udp4(c, data=b"", ihl=15), _TYPE, _UDP4),
    ),
    _attack(
        "x-ip4-total-length-at-its-ends",
        "Total lengths zero, below the header, one above what is there, the largest",
        "791",
        Guard.ETHERTYPE,
        *(_row(f"{total}", _with(total=total), _TYPE, _UDP4) for total in (0, 1, 19, 65535)),
        _row("one-more", _total(1), _TYPE, _UDP4),
    ),
    _attack(
        "x-ip4-total-length-cuts-the-header-above",
        "Total lengths that end inside the header of the upper layer",
        "791, 768, 9293, 792",
        Guard.IP,
        *(_row(f"udp-{n}", _with(total=20 + n), _UNREADABLE_4, _UDP4) for n in (0, 1, 4, 7)),
        *(
            _row(f"tcp-{n}", partial(f.tcp4, total=20 + n), _UNREADABLE_4, _TCP4)
            for n in (0, 8, 13, 19)
        ),
        *(
            _row(
                f"icmp-{n}",
                lambda c, n=n: f.icmp4(c, 8, total=20 + n),  # type: ignore[misc]
                _UNREADABLE_4,
                "L29/echo4",
            )
            for n in (0, 1, 7)
        ),
    ),
    _attack(
        "x-ip4-reserved-flag",
        "The bit of the fragment field that must be zero",
        "791, 3514",
        Guard.IP,
        *_pair4("set", _with(offset=0x8000)),
    ),
    _attack(
        "x-ip4-option-lengths",
        "Options of no length, of one octet, one past the header, and the largest",
        "791",
        Guard.IP,
        *(
            _row(f"length-{n}", _with_options(bytes((7, n, 4, 0))), _ADDRESS, _UDP4)
            for n in (0, 1, 5, 255)
        ),
        _row("no-length-octet", _with_options(b"\x01\x01\x01\x07"), _ADDRESS, _UDP4),
    ),
    _attack(
        "x-ip4-source-route-last",
        "A source route behind as much padding as there is room for",
        "7126",
        Guard.IP,
        _row("loose", _with_options(_LSRR_LAST), _ADDRESS, _UDP4),
        _row("strict", _with_options(_LSRR_LAST.replace(b"\x83", b"\x89")), _ADDRESS, _UDP4),
    ),
    _attack(
        "x-ip4-source-route-behind-the-end",
        "A source route behind the end of the option list: no router reads it",
        "791",
        Guard.IP,
        *_pair4("loose", _with_options(b"\x00\x83\x0b\x04" + bytes(8))),
    ),
    _attack(
        "x-ip4-fragment-past-the-largest",
        "A last fragment that ends behind 65,535 octets",
        "791",
        Guard.IP,
        *_pair4("offset-8191", _with(offset=0x1FFF)),
    ),
    _attack(
        "x-ip4-protocols-without-a-parser",
        "Protocols of which nothing is read: an own source passes, another's does not",
        "791",
        Guard.IP,
        *(
            variant
            for number in (0, 4, 41, 47, 50, 51, 89, 132, 255)
            for variant in _pair4(f"{number}", partial(f.ip4, payload=f.DATA, protocol=number))
        ),
    ),
)

# UDP, TCP, ICMP, IGMP


def _udp_length(length: int) -> Callable[..., bytes]:
    return partial(f.ip4, payload=build.udp(4000, 9, f.DATA, length=length))


_UPPER_ROWS = (
    _attack(
        "x-udp-lengths",
        "UDP lengths that lie: receivers judge them, the source is judged here",
        "768, 2675",
        Guard.IP,
        *(variant for n in (0, 7, 8, 65535) for variant in _pair4(f"{n}", _udp_length(n))),
    ),
    _attack(
        "x-udp-length-hides-a-server",
        "A DHCP server's answer of which the UDP length tells nothing",
        "768, 2131",
        Guard.DHCP,
        _row(
            "length-8",
            lambda c: f.ip4(c, build.udp(67, 68, offer(c), length=8), dst=f.BROADCAST_4),
            _DHCP,
            "L06/discover",
        ),
    ),
    _attack(
        "x-tcp-data-offsets",
        "TCP headers below five words and beyond the segment",
        "9293",
        Guard.IP,
        *(
            variant
            for words in (0, 4, 15)
            for variant in _pair4(
                f"{words}", partial(f.ip4, payload=build.tcp(4000, 9, data_offset=words)), _TCP4
            )
        ),
    ),
    _attack(
        "x-icmp-redirect-codes",
        "Redirects of every code, defined or not",
        "792, 1812",
        Guard.RA,
        *(
            _row(
                f"{code}",
                lambda c, code=code: f.icmp4(c, 5, code, c.a.ip4.packed + bytes(28)),  # type: ignore[misc]
                _RA,
                "L24/v4-time-exceeded",
            )
            for code in (0, 1, 2, 3, 4, 255)
        ),
    ),
    _attack(
        "x-icmp-redirect-in-a-first-fragment",
        "A redirect whose rest follows in another fragment",
        "792",
        Guard.RA,
        _row(
            "first",
            lambda c: f.icmp4(c, 5, 1, c.a.ip4.packed + bytes(28), more=True),
            _RA,
            "L23/v4-first",
        ),
    ),
    _attack(
        "x-igmp-of-another",
        "A membership report from another's address",
        "2236, 3376",
        Guard.IP,
        _row(
            "v2",
            lambda c: f.ip4(c, build.igmp(0x16, "239.1.1.1"), src=c.v.ip4, ttl=1),
            _PUBLIC,
            "L20/v2",
        ),
        _row(
            "v3-with-too-many-records",
            lambda c: f.ip4(
                c,
                Piece(b"\x22\0\0\0\0\0\xff\xff" + bytes(8), f.IGMP),
                src=c.v.ip4,
                ttl=1,
            ),
            _PUBLIC,
            "L20/v3",
        ),
    ),
)

# IPv6


def _chained(*chain: f.Around) -> Callable[..., bytes]:
    return partial(f.udp6, chain=chain)


def _hidden_na(*chain: f.Around) -> Frame:
    """Another's address in an advertisement behind these headers."""
    return lambda c: f.own_na(c, c.v.ip6, chain=chain)


_OLD = {"mobility": 135, "hip": 139, "shim6": 140}

_IPV6_ROWS = (
    _attack(
        "x-ip6-versions",
        "Each version that is not 6",
        "8200",
        Guard.ETHERTYPE,
        *(
            _row(
                f"{version}",
                lambda c, version=version: f.udp6(c, version=version),  # type: ignore[misc]
                _TYPE,
                _UDP6,
            )
            for version in (0, 4, 5, 7, 15)
        ),
    ),
    _attack(
        "x-ip6-payload-length-at-its-ends",
        "Payload lengths one above what is there, and the largest",
        "8200",
        Guard.ETHERTYPE,
        _row("one-more", lambda c: f.udp6(c, length=len(f.udp6(c)) - 53), _TYPE, _UDP6),
        _row("65535", lambda c: f.udp6(c, length=65535), _TYPE, _UDP6),
    ),
    _attack(
        "x-ip6-payload-length-cuts-the-header-above",
        "Payload lengths that end inside the header of the upper layer",
        "8200",
        Guard.MAC,
        *(
            _row(f"udp-{n}", lambda c, n=n: f.udp6(c, length=n), _MAC, _UDP6)  # type: ignore[misc]
            for n in (1, 7)
        ),
        *(
            _row(f"tcp-{n}", lambda c, n=n: f.tcp6(c, length=n), _MAC, _TCP6)  # type: ignore[misc]
            for n in (1, 13, 19)
        ),
        *(
            _row(
                f"icmp-{n}",
                lambda c, n=n: f.icmp6(c, 128, length=n),  # type: ignore[misc]
                _MAC,
                "L29/echo6",
            )
            for n in (1, 3)
        ),
    ),
    _attack(
        "x-ip6-jumbogram",
        "A jumbo payload option with a payload length of zero",
        "2675",
        Guard.ETHERTYPE,
        _row(
            "hop-by-hop",
            lambda c: f.udp6(
                c,
                length=0,
                chain=(partial(build.hop_by_hop, options=b"\xc2\x04\0\x01\0\0"),),
            ),
            _TYPE,
            _UDP6,
        ),
    ),
    _attack(
        "x-ip6-extension-lengths",
        "Extension headers one unit longer than the packet, and of the largest length",
        "8200, 4302",
        Guard.MAC,
        *(
            _row(
                f"{name}-{length}",
                _chained(partial(around, length=length)),
                _MAC,
                _UDP6,
            )
            for name, around in (
                ("hop-by-hop", build.hop_by_hop),
                ("destination", build.destination_options),
                ("authentication", build.authentication),
            )
            for length in (40, 255)
        ),
    ),
    _attack(
        "x-ip6-hop-by-hop-not-first",
        "Hop-by-hop options in second place",
        "8200",
        Guard.MAC,
        _row(
            "behind-destination",
            _chained(build.destination_options, build.hop_by_hop),
            _MAC,
            _UDP6,
        ),
        _row("twice", _chained(build.hop_by_hop, build.hop_by_hop), _MAC, _UDP6),
    ),
    _attack(
        "x-ip6-fragment-in-a-fragment",
        "Two fragment headers",
        "8200, 7112",
        Guard.MAC,
        _row("atomic-atomic", _chained(f.atomic, f.atomic), _MAC, _UDP6),
        _row(
            "with-options-between",
            _chained(f.atomic, build.destination_options, f.atomic),
            _MAC,
            _UDP6,
        ),
    ),
    _attack(
        "x-ip6-later-fragment-of-a-header",
        "A later fragment that says it begins with an extension header",
        "8200, 7112",
        Guard.MAC,
        _row(
            "destination",
            _chained(partial(build.fragment, offset=1), build.destination_options),
            _MAC,
            "L23/v6-last",
        ),
        _row(
            "routing",
            _chained(partial(build.fragment, offset=185), build.routing),
            _MAC,
            "L23/v6-last",
        ),
    ),
    _attack(
        "x-ip6-eight-headers",
        "As many extension headers as are followed, and one more",
        "8200, 7112",
        Guard.ND,
        *_pair6("eight", _chained(*(build.destination_options,) * 8)),
        _row(
            "advertisement-behind-eight",
            _hidden_na(*(build.destination_options,) * 8),
            _ND,
            "L11/unsolicited",
        ),
        _row("nine", _chained(*(build.destination_options,) * 9), _MAC, _UDP6),
    ),
    _attack(
        "x-ip6-advertisement-behind-rare-headers",
        "Neighbour discovery behind the headers that filters forget",
        "6275, 7401, 5533, 4302",
        Guard.ND,
        *(
            _row(name, _hidden_na(partial(build.extension, kind)), _ND, "L11/unsolicited")
            for name, kind in _OLD.items()
        ),
        _row("authentication", _hidden_na(build.authentication), _ND, "L11/unsolicited"),
        _row("atomic-fragment", _hidden_na(f.atomic), _MAC, "L11/unsolicited"),
    ),
    _attack(
        "x-ip6-rare-headers-of-ones-own",
        "The same headers before a datagram: passed from one's own address only",
        "6275, 7401, 5533, 4302",
        Guard.IP,
        *(
            variant
            for name, kind in _OLD.items()
            for variant in _pair6(name, _chained(partial(build.extension, kind)))
        ),
        *_pair6("authentication", _chained(build.authentication)),
    ),
    _attack(
        "x-ip6-nothing-follows",
        "Next header 59 with octets behind it, and ESP, whose inside nobody reads",
        "8200, 4303",
        Guard.IP,
        *_pair6("none", partial(f.ip6, payload=f.DATA, next_header=59)),
        *_pair6("esp", partial(f.ip6, payload=f.DATA, next_header=50)),
    ),
)

# Neighbour and listener discovery

_NA = "L11/unsolicited"
_LOOPBACK = IPv6Address("::1")
_ALERT_AND_MORE = build.router_alert6() + build.ip6_option(1, bytes(6))


def _advertising(*options: bytes) -> Frame:
    """An own address, with the sender's own MAC and these behind it."""
    return lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), *options)


_ND_ROWS = (
    _attack(
        "x-nd-seventeen-options",
        "One option more than is read, the last with another's MAC",
        "4861",
        Guard.MAC,
        _row(
            "last-is-the-victims",
            lambda c: f.na(c, c.a.ip6, *(build.nd_option(253),) * 16, f.tlla(c.v.mac)),
            _MAC,
            _NA,
        ),
        _row("all-unknown", lambda c: f.na(c, c.a.ip6, *(build.nd_option(253),) * 17), _MAC, _NA),
    ),
    _attack(
        "x-nd-rest-of-an-option",
        "One to seven octets behind the last option",
        "4861",
        Guard.MAC,
        *(_row(f"{n}", _advertising(b"\x02\x01" + bytes(n - 2)), _MAC, _NA) for n in (3, 7)),
        _row("1", _advertising(b"\x02"), _MAC, _NA),
    ),
    _attack(
        "x-nd-two-addresses",
        "The sender's own MAC in the first option, another's in the second",
        "4861",
        Guard.MAC,
        _row("target", lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), f.tlla(c.v.mac)), _MAC, _NA),
        _row(
            "source-in-an-advertisement",
            lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), f.slla(c.v.mac)),
            _MAC,
            _NA,
        ),
    ),
    _attack(
        "x-nd-targets-that-are-nobodys",
        "Advertisements of a group and of the unspecified address",
        "4861",
        Guard.ND,
        _row("multicast", lambda c: f.own_na(c, f.ALL_NODES), _ND, _NA),
        _row("unspecified", lambda c: f.own_na(c, f.ZERO_6), _ND, _NA),
        _row("loopback", lambda c: f.own_na(c, _LOOPBACK), _ND, _NA),
    ),
    _attack(
        "x-mld-of-another",
        "A listener report from another's link-local address",
        "9777",
        Guard.IP,
        _row("v2", lambda c: _report(c, src=c.v.ll), _ADDRESS, "L14/v2-link-local"),
    ),
    _attack(
        "x-mld-from-nobody",
        "Reports from :: outside their one legal shape",
        "9777, 4861",
        Guard.IP,
        _row(
            "hop-limit-64",
            lambda c: _report(c, src=f.ZERO_6, hop=64),
            _ADDRESS,
            "L14/v2-unspecified",
        ),
        _row(
            "no-router-alert",
            lambda c: _report(c, src=f.ZERO_6, chain=()),
            _ADDRESS,
            "L14/v2-unspecified",
        ),
        _row(
            "options-of-two-units",
            lambda c: _report(
                c, src=f.ZERO_6, chain=(partial(build.hop_by_hop, options=_ALERT_AND_MORE),)
            ),
            _ADDRESS,
            "L14/v2-unspecified",
        ),
        _row(
            "unicast",
            lambda c: _report(c, src=f.ZERO_6, dst=c.p.ip6),
            _ADDRESS,
            "L14/v2-unspecified",
        ),
    ),
)


def _report(c: Cast, **fields: Unpack[f.Ip6]) -> bytes:
    """An MLDv2 report of the solicited-node group, whole but for `fields`."""
    whole: f.Ip6 = {"dst": ALL_MLD, "hop": 1, "chain": (f.router_alert,)}
    whole.update(fields)
    return f.ip6(c, build.mldv2_report(f.solicited_node(c.a.ip6)), **whole)


# DHCP

_DISCOVER = "L06/discover"


def _asking(**fields: Any) -> Frame:
    """A client's first question, with these fields."""
    return lambda c: f.dhcp_client(c, build.dhcpv4(c.a.mac, f.DISCOVER, **fields))


def _saying(*options: bytes) -> Frame:
    return lambda c: f.dhcp_client(c, build.dhcpv4(c.a.mac, f.DISCOVER, *options))


def _solicit(message: bytes, sport: int = 546) -> Frame:
    return lambda c: f.udp6(c, sport, 547, message, src=c.a.ll, dst=f.DHCP6_SERVERS)


_DHCP_ROWS = (
    _attack(
        "x-dhcp-hardware-fields",
        "Hardware types and lengths other than Ethernet's",
        "2131",
        Guard.DHCP,
        *(_row(f"type-{n}", _asking(htype=n), _DHCP, _DISCOVER) for n in (0, 6, 255)),
        *(_row(f"length-{n}", _asking(hlen=n), _DHCP, _DISCOVER) for n in (0, 5, 7, 16, 255)),
    ),
    _attack(
        "x-dhcp-operations",
        "Operations other than a question",
        "2131",
        Guard.DHCP,
        *(_row(f"{n}", _asking(op=n), _DHCP, _DISCOVER) for n in (0, 2, 3, 255)),
    ),
    _attack(
        "x-dhcp-without-its-cookie",
        "BOOTP without DHCP's magic, and messages that end before it",
        "2131, 951",
        Guard.DHCP,
        _row("wrong", _asking(magic=bytes(4)), _DHCP, _DISCOVER),
        _row("missing", _asking(magic=b"", tail=b""), _DHCP, _DISCOVER),
        _row(
            "empty",
            lambda c: f.dhcp_client(c, b""),
            _DHCP,
            _DISCOVER,
        ),
    ),
    _attack(
        "x-dhcp-option-lengths",
        "Options that run past the packet",
        "2132",
        Guard.DHCP,
        _row("past-the-end", _asking(tail=b"\x35\x01\x01\x0c\xff"), _DHCP, _DISCOVER),
        _row("no-length-octet", _asking(tail=b"\x35\x01\x01\x0c"), _DHCP, _DISCOVER),
    ),
    _attack(
        "x-dhcp-too-many-options",
        "More options than are read, a relay's behind them",
        "2132, 3046",
        Guard.DHCP,
        _row("padding", _asking(tail=bytes(80) + b"\x52\x02\x01\x00\xff"), _DHCP, _DISCOVER),
        _row("options", _saying(*(build.dhcp_option(12, b"x"),) * 70), _DHCP, _DISCOVER),
    ),
    _attack(
        "x-dhcp-relay-behind-padding",
        "A relay's option behind padding",
        "3046",
        Guard.DHCP,
        _row(
            "padded",
            _asking(tail=b"\x35\x01\x01" + bytes(20) + b"\x52\x02\x01\x00\xff"),
            _DHCP,
            _DISCOVER,
        ),
    ),
    _attack(
        "x-dhcp-in-a-first-fragment",
        "A client's message of which only the beginning is here",
        "2131",
        Guard.DHCP,
        _row(
            "from-nobody",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER), more=True),
            _UNREADABLE_4,
            _DISCOVER,
        ),
        _row(
            "from-ones-own",
            lambda c: f.dhcp_client(
                c, f.dhcp(c, f.REQUEST, ciaddr=c.a.ip4), src=c.a.ip4, dst=c.p.ip4, more=True
            ),
            _DHCP,
            "L07/renew",
        ),
    ),
    _attack(
        "x-dhcp6-message-types",
        "Messages of servers and relays, and those that nobody defined, from a client's port",
        "8415",
        Guard.DHCP,
        *(
            _row(f"{n}", _solicit(bytes((n,)) + bytes(23)), _DHCP, "L08/solicit")
            for n in (0, 2, 7, 10, 12, 13, 14, 255)
        ),
    ),
    _attack(
        "x-dhcp6-cut-short",
        "Messages shorter than a type and a transaction",
        "8415",
        Guard.DHCP,
        *(_row(f"{n}-octets", _solicit(b"\x01\0\0"[:n]), _DHCP, "L08/solicit") for n in (0, 1, 3)),
    ),
    _attack(
        "x-dhcp6-from-another-port",
        "Questions to servers from ports that are no client's",
        "8415",
        Guard.DHCP,
        *(
            _row(f"{n}", _solicit(bytes((1,)) + bytes(23), n), _DHCP, "L08/solicit")
            for n in (0, 545, 548, 4000)
        ),
    ),
)

# To the guest

_FROM_4, _FROM_6 = "L29/udp4-from-outside", "L29/udp6-from-outside"


def _arriving(name: str, frame: Frame, twin: str) -> Variant:
    return _row(name, frame, _TYPE, twin, actor=Actor.OUTSIDE)


_INWARD_ROWS = (
    _attack(
        "x-in-ip4-lengths",
        "The lengths and versions of IPv4, from beyond the uplink",
        "791",
        Guard.ETHERTYPE,
        _arriving("ihl-4", lambda c: f.udp4(c, dst=c.v.ip4, ihl=4), _FROM_4),
        _arriving("total-19", lambda c: f.udp4(c, dst=c.v.ip4, total=19), _FROM_4),
        _arriving("total-65535", lambda c: f.udp4(c, dst=c.v.ip4, total=65535), _FROM_4),
        _arriving("version-6", lambda c: f.udp4(c, dst=c.v.ip4, version=6), _FROM_4),
    ),
    _attack(
        "x-in-ip6-lengths",
        "The lengths and versions of IPv6, from beyond the uplink",
        "8200",
        Guard.ETHERTYPE,
        _arriving("zero", lambda c: f.udp6(c, dst=c.v.ip6, length=0), _FROM_6),
        _arriving("past-the-frame", lambda c: f.udp6(c, dst=c.v.ip6, length=1400), _FROM_6),
        _arriving("version-4", lambda c: f.udp6(c, dst=c.v.ip6, version=4), _FROM_6),
    ),
    _attack(
        "x-in-types",
        "Types that no guest needs, from beyond the uplink",
        "894",
        Guard.ETHERTYPE,
        *(
            _arriving(f"{kind:04x}", _retyped(kind, lambda c: f.udp4(c, dst=c.v.ip4)), _FROM_4)
            for kind in (0x0000, 0x0600, 0x0801, 0x86DE, 0xFFFF)
        ),
    ),
)

ROWS: tuple[Attack, ...] = (
    *_LINK,
    *_ARP_ROWS,
    *_IPV4_ROWS,
    *_UPPER_ROWS,
    *_IPV6_ROWS,
    *_ND_ROWS,
    *_DHCP_ROWS,
    *_INWARD_ROWS,
)
