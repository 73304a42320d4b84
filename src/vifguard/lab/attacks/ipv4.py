"""Group B: IPv4 sources, fragments, options and headers that lie."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import (
    CONTAINED,
    PASS,
    Actor,
    Attack,
    Effect,
    Frame,
    Path,
    Refused,
    Variant,
    VariantsOf,
    drop,
    on,
)
from vifguard.lab.attacks.legal import offer, super_frame, tcp4_offload, tcp6_offload, udp4_offload
from vifguard.model.guard import Guard
from vifguard.packet import build

# Another's public address: the guards of addresses and of public addresses object.
_PUBLIC = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP))
# An address outside the provider's prefixes: a router may forward it.
_FOREIGN = on(strict=drop(Guard.IP), mac=PASS, router=PASS)
_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))
_DHCP = on(strict=drop(Guard.DHCP), mac=PASS, router=drop(Guard.DHCP))
_UNREADABLE = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.DHCP))
_HARMLESS = on(strict=PASS, mac=PASS, router=PASS)


_row = VariantsOf(_PUBLIC, twin="L29/udp4")


def _from(source: str) -> Frame:
    return lambda c: f.udp4(c, src=IPv4Address(source))


def _spare(c: Actors) -> IPv4Address:
    """An address of the segment that nobody was given."""
    return c.net4[-2]


def _fragment(c: Actors, src: IPv4Address, data: bytes, offset: int, *, more: bool) -> bytes:
    return f.ip4(c, data, f.UDP, src=src, offset=offset, more=more)


def _tiny_tcp(c: Actors, src: IPv4Address) -> bytes:
    return f.ip4(c, build.tcp(4000, 9).octets[:8], f.TCP, src=src, more=True)


def _server_fragment(c: Actors, size: int) -> bytes:
    whole = build.udp(67, 68, offer(c)).octets
    return f.ip4(c, whole[:size], f.UDP, dst=f.BROADCAST_4, more=True)


def _option(kind: int, *, size: int = 11) -> Frame:
    """An ordinary datagram with one option of `size` octets, to the gateway."""

    def frame(c: Actors) -> bytes:
        data = bytes((kind, size, 4)) + c.v.ip4.packed + c.g.ip4.packed + bytes(size)
        return f.udp4(c, dst=c.g.ip4, options=data[:size])

    return frame


def _zero_dhcp(data: Callable[[Actors], bytes]) -> Frame:
    return lambda c: f.udp4(c, 68, 67, data(c), src=f.ZERO_4, dst=c.v.ip4)


_SUPER = (("tcp4", tcp4_offload), ("tcp6", tcp6_offload), ("udp4", udp4_offload))

ROWS: tuple[Attack, ...] = (
    Attack(
        id="ip-src-victim",
        title="Another's source address",
        group="B",
        guard=Guard.IP,
        published=("LP#1274034",),
        variants=(
            _row("victim", lambda c: f.udp4(c, src=c.v.ip4)),
            _row("victim-tcp", lambda c: f.tcp4(c, src=c.v.ip4), twin="L29/tcp4"),
            _row("victim-echo", lambda c: f.icmp4(c, 8, src=c.v.ip4), twin="L29/echo4"),
            _row("gateway", lambda c: f.udp4(c, src=c.g.ip4)),
            _row("subnet-broadcast", lambda c: f.udp4(c, src=c.net4.broadcast_address)),
            _row("loopback", _from("127.0.0.1"), expect=_FOREIGN),
            _row("multicast", _from("224.0.0.1"), expect=_FOREIGN),
            _row("reserved", _from("240.0.0.1"), expect=_FOREIGN),
            _row("limited-broadcast", _from("255.255.255.255"), expect=_FOREIGN),
        ),
    ),
    Attack(
        id="ip-src-in-dhcp-ports",
        title="DHCP client ports as a way around the source check",
        group="B",
        guard=Guard.IP,
        published=("CVE-2016-5362",),
        variants=(
            _row("unicast", lambda c: f.udp4(c, 68, 67, src=c.v.ip4), twin="L07/renew"),
            _row(
                "broadcast",
                lambda c: f.udp4(c, 68, 67, src=c.v.ip4, dst=f.BROADCAST_4),
                twin="L07/rebind",
            ),
            _row("v6-unicast", lambda c: f.udp6(c, 546, 547, src=c.v.ip6), twin="L08/unicast"),
            _row(
                "v6-multicast",
                lambda c: f.udp6(c, 546, 547, src=c.v.ip6, dst=f.DHCP6_SERVERS),
                twin="L08/solicit",
            ),
        ),
    ),
    Attack(
        id="ip-src-zero-abuse",
        title="0.0.0.0 outside DHCP discovery",
        group="B",
        guard=Guard.IP,
        variants=(
            _row(
                "udp-to-dns",
                lambda c: f.udp4(c, 1234, 53, src=f.ZERO_4, dst=c.v.ip4),
                expect=_FOREIGN,
            ),
            _row(
                "dhcp-unicast",
                _zero_dhcp(lambda c: f.dhcp(c, f.DISCOVER)),
                expect=_FOREIGN,
                twin="L06/discover",
            ),
            _row(
                "dhcp-ports-only",
                _zero_dhcp(lambda _c: f.DATA),
                expect=_UNREADABLE,
                twin="L06/discover",
            ),
            _row("tcp", lambda c: f.tcp4(c, src=f.ZERO_4), expect=_FOREIGN, twin="L29/tcp4"),
            _row("echo", lambda c: f.icmp4(c, 8, src=f.ZERO_4), expect=_FOREIGN, twin="L29/echo4"),
            _row(
                "dhcp-fragment",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER), more=True),
                expect=_UNREADABLE,
                twin="L06/discover",
            ),
        ),
    ),
    Attack(
        id="ip-spoof-in-established",
        title="Another's flow, joined from outside it",
        group="B",
        guard=Guard.IP,
        variants=(
            _row("own-mac", lambda c: f.udp4(c, 9, 4000, src=c.v.ip4)),
            _row(
                "victims-mac",
                lambda c: f.udp4(c, 9, 4000, src=c.v.ip4, src_mac=c.v.mac),
                expect=on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC)),
            ),
        ),
    ),
    Attack(
        id="ip-to-host-input-path",
        title="A forged source to the host's own address",
        group="B",
        guard=Guard.IP,
        variants=(
            Variant(
                name="hypervisor-subnet",
                frame=lambda c: f.udp4(c, src=c.p.ip4 + 1),
                expect=on(strict=drop(Guard.IP), mac=CONTAINED, router=CONTAINED),
                twin="L29/udp4",
                effect=Effect.HOST,
                paths=(Path.HOST,),
            ),
            Variant(
                name="victim",
                frame=lambda c: f.udp4(c, src=c.v.ip4),
                expect=on(strict=drop(Guard.IP), mac=CONTAINED, router=drop(Guard.PUBLIC_IP)),
                twin="L29/udp4",
                effect=Effect.HOST,
                paths=(Path.HOST,),
            ),
        ),
    ),
    Attack(
        id="ip-dst-accept-shortcircuit",
        title="A receiver that accepts before the sender is judged",
        group="B",
        guard=Guard.IP,
        variants=(
            _row("to-a-port-made-before", lambda c: f.udp4(c, src=c.g.ip4, dst=c.v.ip4)),
            _row("to-a-port-made-after", lambda c: f.udp4(c, src=c.v.ip4)),
        ),
    ),
    Attack(
        id="ip-cidr-widening",
        title="An address given with a prefix length",
        group="B",
        guard=Guard.IP,
        variants=(_row("neighbour-of-own", lambda c: f.udp4(c, src=_spare(c))),),
        refused=(
            Refused(
                name="address-with-length",
                plural="ports",
                body={"fixed_ips": [{"ip_address": "10.0.0.5/24"}]},
            ),
        ),
    ),
    Attack(
        id="ip-family-not-filtered",
        title="The family that the port has no address of",
        group="B",
        guard=Guard.IP,
        variants=(
            Variant(
                name="v4-from-an-ipv6-port",
                frame=lambda c: f.udp4(c, src=_spare(c)),
                expect=_PUBLIC,
                twin="L29/udp6",
                actor=Actor.ONLY_6,
            ),
            Variant(
                name="private-v4-from-an-ipv6-port",
                frame=_from("10.9.9.9"),
                expect=_FOREIGN,
                twin="L29/udp6",
                actor=Actor.ONLY_6,
            ),
            Variant(
                name="arp-from-an-ipv6-port",
                frame=lambda c: f.arp(c, 1, spa=_spare(c)),
                expect=on(strict=drop(Guard.ARP), mac=PASS, router=drop(Guard.ARP)),
                twin="L29/udp6",
                actor=Actor.ONLY_6,
                effect=Effect.DELIVERY,
            ),
            Variant(
                name="others-link-local-from-an-ipv4-port",
                frame=lambda c: f.udp6(c, src=c.v.ll),
                expect=_FOREIGN,
                twin="L29/udp4",
                actor=Actor.ONLY_4,
            ),
            Variant(
                name="others-na-from-an-ipv4-port",
                frame=lambda c: f.own_na(c, c.v.ll, src=c.a.ll),
                expect=on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND)),
                twin="L29/udp4",
                actor=Actor.ONLY_4,
            ),
        ),
    ),
    Attack(
        id="ip-fragments",
        title="Fragments that hide the source's upper layer",
        group="B",
        guard=Guard.IP,
        published=("RFC 1858", "RFC 3128", "RFC 791"),
        variants=(
            _row(
                "later-only",
                lambda c: _fragment(c, c.v.ip4, bytes(64), 175, more=False),
                twin="L23/v4-last",
            ),
            _row(
                "first-of-8-bytes",
                lambda c: _fragment(
                    c, c.v.ip4, build.udp(1, 1, bytes(64)).octets[:8], 0, more=True
                ),
                twin="L23/v4-first",
            ),
            _row(
                "overlapping",
                lambda c: _fragment(c, c.v.ip4, b"\0\x35" * 4, 1, more=False),
                twin="L23/v4-last",
            ),
            _row("tiny-tcp-spoofed", lambda c: _tiny_tcp(c, c.v.ip4), twin="L23/v4-first"),
            _row(
                "tiny-tcp-own",
                lambda c: _tiny_tcp(c, c.a.ip4),
                expect=_UNREADABLE,
                twin="L23/v4-first",
            ),
            _row(
                "dhcp-server-first",
                lambda c: _server_fragment(c, 120),
                expect=_DHCP,
                twin="L23/v4-first",
            ),
            _row(
                "dhcp-server-ports-later",
                lambda c: _server_fragment(c, 0),
                expect=_UNREADABLE,
                twin="L23/v4-first",
            ),
        ),
    ),
    Attack(
        id="ip-options",
        title="Source routing and other options",
        group="B",
        guard=Guard.IP,
        published=("RFC 7126",),
        variants=(
            _row("loose-source-route", _option(131), expect=_FOREIGN),
            _row("strict-source-route", _option(137), expect=_FOREIGN),
            _row(
                "source-route-behind-others",
                lambda c: f.udp4(c, options=b"\x01\x94\x04\0\0\x83\x07\x04" + c.v.ip4.packed),
                expect=_FOREIGN,
            ),
            _row(
                "length-past-the-header",
                lambda c: f.udp4(c, options=b"\x07\x0c\x04\0"),
                expect=_FOREIGN,
            ),
            _row("record-route", _option(7), expect=_HARMLESS),
            _row("timestamp", _option(68), expect=_HARMLESS),
            _row("ihl-15", _option(7, size=39), expect=_HARMLESS),
        ),
    ),
    Attack(
        id="ip-malformed-header",
        title="IPv4 headers that contradict themselves or the frame",
        group="B",
        guard=Guard.IP,
        published=("CVE-2016-10377", "CVE-2020-35498", "CVE-2023-1668"),
        variants=(
            _row("version-6", lambda c: f.udp4(c, version=6), expect=_TYPE),
            _row("ihl-4", lambda c: f.udp4(c, ihl=4), expect=_TYPE),
            _row("ihl-past-the-total", lambda c: f.udp4(c, ihl=15, total=40), expect=_TYPE),
            _row("total-below-header", lambda c: f.udp4(c, total=19), expect=_TYPE),
            _row("total-past-the-frame", lambda c: f.udp4(c, total=1400), expect=_TYPE),
            _row("spoofed-behind-padding", lambda c: f.udp4(c, src=c.v.ip4, trailer=bytes(200))),
            _row("bad-checksum", lambda c: f.udp4(c, checksum=0xDEAD), expect=_HARMLESS),
            _row("protocol-0", lambda c: f.ip4(c, f.DATA, 0), expect=_HARMLESS),
            _row("padding-200", lambda c: f.udp4(c, trailer=b"\xa5" * 200), expect=_HARMLESS),
        ),
    ),
    Attack(
        id="ip-self-and-hairpin",
        title="To oneself, directly and by the gateway",
        group="B",
        guard=Guard.IP,
        variants=(
            _row("land", lambda c: f.udp4(c, dst=c.a.ip4, dst_mac=c.p.mac), expect=_HARMLESS),
            _row(
                "by-the-gateway",
                lambda c: f.udp4(c, dst=c.a.ip4, dst_mac=c.g.mac),
                expect=_HARMLESS,
            ),
            _row("own-mac", lambda c: f.udp4(c, dst=c.a.ip4, dst_mac=c.a.mac), expect=_HARMLESS),
        ),
        note="Harmless: it is the port's own address. Hairpin stays off: nothing is reflected.",
    ),
    Attack(
        id="ip-gso-super",
        title="Super-packets whose headers are not in linear memory",
        group="B",
        guard=Guard.IP,
        variants=tuple(
            Variant(
                name=name,
                frame=super_frame(name, "v"),
                expect=_PUBLIC,
                twin=f"L26/{name}",
                offload=offload,
            )
            for name, offload in _SUPER
        ),
    ),
)
