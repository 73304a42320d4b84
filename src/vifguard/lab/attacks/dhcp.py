"""Group F: router advertisements and DHCP."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import BROADCAST, Actors
from vifguard.lab.attacks.attack import (
    CONTAINED,
    PASS,
    Actor,
    Attack,
    Frame,
    Variant,
    VariantsOf,
    drop,
    everywhere,
    on,
)
from vifguard.lab.attacks.legal import UNKNOWN_MAC, offer, prefix
from vifguard.model.guard import Guard
from vifguard.packet import build

_RA = on(strict=drop(Guard.RA), mac=PASS, router=drop(Guard.RA))
_ND = on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND))
_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))
_DHCP = on(strict=drop(Guard.DHCP), mac=PASS, router=drop(Guard.DHCP))
_PUBLIC = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP))
_FOREIGN = on(strict=drop(Guard.IP), mac=PASS, router=PASS)
_HARMLESS = on(strict=PASS, mac=PASS, router=PASS)


_row = VariantsOf(_DHCP)


# Router advertisements


def _ra(name: str, option: bytes, lifetime: int = 1800) -> Variant:
    return _row(
        name,
        lambda c: f.ra(c, f.slla(c.a.mac), option, lifetime=lifetime),
        "L09/link-local",
        _RA,
    )


_RDNSS = build.nd_option(25, bytes(2) + (600).to_bytes(4, "big") + f.ALL_NODES.packed)
_MTU_1280 = build.nd_option(5, bytes(2) + (1280).to_bytes(4, "big"))
_PREF64 = build.nd_option(38, bytes(2) + bytes.fromhex("0064ff9b") + bytes(8))

_Q, _AD = (0x8100, 0), (0x88A8, 0)
_TAGS: dict[str, tuple[tuple[int, int], ...]] = {
    "": (),
    **{f"vid0-x{n}": (_Q,) * n for n in range(1, 6)},
    "ad": (_AD,),
    "ad-vid0": (_AD, _Q),
    "vid0-ad": (_Q, _AD),
}
_Wrap = dict[str, "partial[bytes] | None"]
_WRAPS: _Wrap = {
    "": None,
    "snap-000000": partial(f.snap, oui=0),
    "snap-0000f8": partial(f.snap, oui=0xF8),
    "length-0": partial(f.snap, oui=0, length=0),
    "length-05ff": partial(f.snap, oui=0, length=0x05FF),
}


def _stacks() -> Iterator[Variant]:
    """The same advertisement under every stack of tags and LLC/SNAP encapsulations."""
    for (tags, stack), (wrap, encapsulate) in product(_TAGS.items(), _WRAPS.items()):
        if tags or wrap:
            name = "-".join(part for part in (tags, wrap) if part)
            yield _row(name, partial(_stacked, stack, encapsulate), "L09/link-local", _TYPE)


def _stacked(
    stack: tuple[tuple[int, int], ...], encapsulate: partial[bytes] | None, c: Actors
) -> bytes:
    frame = f.ra(c, prefix(c))
    return f.tagged(encapsulate(frame) if encapsulate else frame, *stack)


def _retyped(kind: int, c: Actors) -> bytes:
    return f.ether(kind, f.ra(c, prefix(c))[14:], c.a.mac, f.mac_of(c, f.ALL_NODES))


# DHCPv4

_RELAY_INFORMATION = build.dhcp_option(82, b"\x01\x04port")


def _serving(name: str, message: int) -> tuple[Variant, ...]:
    """A server's message: to everyone, to the victim, and to the victim in a broadcast frame."""
    return (
        _row(
            f"{name}-broadcast",
            lambda c: f.udp4(c, 67, 68, offer(c, message), dst=f.BROADCAST_4),
            "L06/discover",
        ),
        _row(
            f"{name}-unicast",
            lambda c: f.udp4(c, 67, 68, offer(c, message), dst=c.v.ip4),
            "L07/renew",
        ),
        _row(
            f"{name}-unicast-in-broadcast",
            lambda c: f.udp4(c, 67, 68, offer(c, message), dst=c.v.ip4, dst_mac=BROADCAST),
            "L07/renew",
        ),
    )


def _about_victim(message: int, chaddr: str, dst: str = "server") -> Frame:
    """An own datagram to the server about the victim's address."""

    def frame(c: Actors) -> bytes:
        mac = c.v.mac if chaddr == "victim" else c.a.mac
        body = f.dhcp(c, message, chaddr=mac, ciaddr=c.v.ip4)
        where = c.g.ip4 if dst == "server" else f.BROADCAST_4
        return f.dhcp_client(c, body, src=c.a.ip4, dst=where)

    return frame


def _declined(*options: bytes, chaddr: str = "own") -> Frame:
    """A decline of the victim's address, behind other options."""

    def frame(c: Actors) -> bytes:
        requested = build.dhcp_option(50, c.v.ip4.packed)
        mac = c.v.mac if chaddr == "victim" else c.a.mac
        return f.dhcp_client(c, f.dhcp(c, f.DECLINE, *options, requested, chaddr=mac))

    return frame


def _declined_overloaded(c: Actors) -> bytes:
    """The victim's address in the server's name, which option 52 makes one of options."""
    whole = bytearray(f.dhcp(c, f.DECLINE, build.dhcp_option(52, b"\x02")))
    requested = build.dhcp_option(50, c.v.ip4.packed) + b"\xff"
    whole[44 : 44 + len(requested)] = requested
    return f.dhcp_client(c, bytes(whole))


def _declined_last(c: Actors) -> bytes:
    """The type behind the address, and there twice: a request, then a decline."""
    tail = b"".join(
        (
            build.dhcp_option(50, c.v.ip4.packed),
            build.dhcp_option(53, bytes((f.REQUEST,))),
            build.dhcp_option(53, bytes((f.DECLINE,))),
            b"\xff",
        )
    )
    return f.dhcp_client(c, build.dhcpv4(c.a.mac, tail=tail))


# DHCPv6


def _server6(message: int, sport: int = 547, dport: int = 546, *chain: f.Around) -> Frame:
    return lambda c: f.udp6(
        c, sport, dport, f.dhcp6(message, c.v.mac), src=c.a.ll, dst=c.v.ll, chain=chain
    )


def _gives_up(message: int, kind: int = f.IA_NA) -> Frame:
    """The victim's address, or the gateway's prefix, in an identity association of the victim."""

    def frame(c: Actors) -> bytes:
        client = build.dhcpv6_option(1, b"\0\x03\0\x01" + c.v.mac.octets)
        lease = f.association(c.v.ip6, kind)
        body = build.dhcpv6(message, client, lease)
        return f.udp6(c, 546, 547, body, src=c.a.ll, dst=f.DHCP6_SERVERS)

    return frame


def _gives_up_second(c: Actors) -> bytes:
    """The own address, then the victim's in a second association."""
    leases = (f.association(c.a.ip6), f.association(c.v.ip6))
    return f.dhcp6_about(c, f.RELEASE_6, *leases)


def _hidden(c: Actors) -> bytes:
    """The victim's address behind more options than are read."""
    filler = (build.dhcpv6_option(16),) * 70
    return f.dhcp6_about(c, f.RELEASE_6, *filler, f.association(c.v.ip6))


def _relayed(c: Actors) -> bytes:
    inner = f.dhcp6(f.SOLICIT, c.v.mac)
    body = build.dhcpv6_relay(c.a.ip6, c.v.ll, inner)
    return f.udp6(c, 546, 547, body, src=c.a.ll, dst=f.DHCP6_SERVERS)


ROWS: tuple[Attack, ...] = (
    Attack(
        id="ra-from-guest",
        title="A guest as the segment's router",
        group="F",
        guard=Guard.RA,
        published=("LP#1372882",),
        variants=(
            _row("prefix", lambda c: f.ra(c, prefix(c), f.slla(c.a.mac)), "L09/link-local", _RA),
            _ra("rdnss", _RDNSS),
            _ra("mtu-1280", _MTU_1280),
            _ra("pref64", _PREF64),
            _row(
                "end-of-the-gateway",
                lambda c: f.ra(c, lifetime=0, src=c.g.ll),
                "L09/link-local",
                _ND,
            ),
        ),
    ),
    Attack(
        id="ra-to-host",
        title="A router advertisement that configures the host",
        group="F",
        guard=Guard.RA,
        published=("CVE-2020-10749",),
        variants=(
            _row(
                "prefix",
                lambda c: f.ra(c, prefix(c), _RDNSS),
                "L09/link-local",
                on(strict=drop(Guard.RA), mac=CONTAINED, router=drop(Guard.RA)),
            ),
        ),
        note="On any network: the host gets no address and no route.",
    ),
    Attack(
        id="ra-vlan0-snap",
        title="A router advertisement under stacks of tags and LLC/SNAP",
        group="F",
        guard=Guard.RA,
        published=(
            "CVE-2021-27853",
            "CVE-2020-17040",
            "CVE-2021-28444",
            "CVE-2022-21905",
            "LP#1884341",
        ),
        variants=(
            *_stacks(),
            _row("0x88b7", partial(_retyped, 0x88B7), "L09/link-local", _TYPE),
            _row("0x8870", partial(_retyped, 0x8870), "L09/link-local", _TYPE),
        ),
    ),
    Attack(
        id="dhcp4-server-reply",
        title="A guest as a DHCP server",
        group="F",
        guard=Guard.DHCP,
        variants=(
            *_serving("offer", f.OFFER),
            *_serving("ack", f.ACK),
            *_serving("nak", f.NAK),
            _row("relay-path", lambda c: f.udp4(c, 67, 67, offer(c)), "L07/renew"),
            _row("odd-source-port", lambda c: f.udp4(c, 1067, 68, offer(c)), "L07/renew"),
        ),
    ),
    Attack(
        id="dhcp4-chaddr-starvation",
        title="Leases for hardware addresses that do not exist",
        group="F",
        guard=Guard.DHCP,
        published=("CVE-2025-52889",),
        variants=(
            _row(
                "random-chaddr",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER, chaddr=UNKNOWN_MAC)),
                "L06/discover",
            ),
            _row(
                "hlen-16",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER, hlen=16)),
                "L06/discover",
            ),
            _row(
                "giaddr",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER, giaddr=c.a.ip4)),
                "L06/discover",
            ),
            _row(
                "option-82",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER, _RELAY_INFORMATION)),
                "L06/discover",
            ),
        ),
    ),
    Attack(
        id="dhcp4-release-decline-forge",
        title="Giving up the victim's lease",
        group="F",
        guard=Guard.DHCP,
        published=("RFC 2131",),
        variants=(
            _row("release", _about_victim(f.RELEASE, "victim"), "L07/release"),
            _row("release-own-chaddr", _about_victim(f.RELEASE, "own"), "L07/release"),
            _row("decline", _declined(chaddr="victim"), "L06/decline"),
            _row("decline-own-chaddr", _declined(), "L06/decline"),
            _row(
                "decline-behind-options",
                _declined(*(build.dhcp_option(12, b"x"),) * 40),
                "L06/decline",
            ),
            _row("decline-overloaded", _declined_overloaded, "L06/decline"),
            _row("decline-said-last", _declined_last, "L06/decline"),
            _row(
                "decline-of-no-address",
                lambda c: f.dhcp_client(c, f.dhcp(c, f.DECLINE)),
                "L06/decline",
            ),
            _row("inform", _about_victim(f.INFORM, "victim", "everyone"), "L07/inform"),
        ),
    ),
    Attack(
        id="dhcp6-server-and-relay",
        title="A guest as a DHCPv6 server or relay",
        group="F",
        guard=Guard.DHCP,
        published=("RFC 7610",),
        variants=(
            _row("advertise", _server6(f.ADVERTISE), "L08/unicast"),
            _row("reply", _server6(f.REPLY), "L08/unicast"),
            _row("reconfigure", _server6(f.RECONFIGURE), "L08/unicast"),
            _row("relay-forward", _relayed, "L08/solicit"),
            _row("server-to-server", _server6(f.ADVERTISE, 547, 547), "L08/unicast"),
            _row(
                "behind-hop-by-hop",
                _server6(f.ADVERTISE, 547, 546, build.hop_by_hop),
                "L08/unicast",
            ),
            _row("behind-fragment", _server6(f.ADVERTISE, 547, 546, f.atomic), "L08/unicast"),
            _row(
                "client-behind-destination-options",
                lambda c: f.dhcp6_client(c, chain=(build.destination_options,)),
                "L08/solicit",
            ),
        ),
    ),
    Attack(
        id="dhcp6-release-decline-forge",
        title="Giving up the victim's IPv6 lease",
        group="F",
        guard=Guard.DHCP,
        variants=(
            _row("release", _gives_up(f.RELEASE_6), "L08/release"),
            _row("release-temporary", _gives_up(f.RELEASE_6, f.IA_TA), "L08/release"),
            _row("release-prefix", _gives_up(f.RELEASE_6, f.IA_PD), "L08/release-of-a-prefix"),
            _row("decline", _gives_up(f.DECLINE_6), "L08/decline"),
            _row("release-behind-the-own", _gives_up_second, "L08/release"),
            _row("release-behind-many-options", _hidden, "L08/release"),
        ),
        note="A server knows the client by its DUID and IAID, which SOLICITs tell every neighbour.",
    ),
    Attack(
        id="dhcp6-registration-forge",
        title="Registering the victim's address as one's own",
        group="F",
        guard=Guard.DHCP,
        variants=(
            _row(
                "own-source",
                lambda c: f.dhcp6_about(c, f.REGISTRATION, f.iaaddr(c.v.ip6), src=c.a.ip6),
                "L08/registration",
            ),
            _row(
                "victim-s-source",
                lambda c: f.dhcp6_about(c, f.REGISTRATION, f.iaaddr(c.v.ip6), src=c.v.ip6),
                "L08/registration",
                on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP)),
            ),
            _row(
                "second-address",
                lambda c: f.dhcp6_about(
                    c, f.REGISTRATION, f.iaaddr(c.a.ip6), f.iaaddr(c.v.ip6), src=c.a.ip6
                ),
                "L08/registration",
            ),
            _row(
                "reply",
                lambda c: f.dhcp6_about(c, f.REGISTERED, f.iaaddr(c.a.ip6), src=c.a.ip6),
                "L08/registration",
            ),
        ),
        note="RFC 9686: a registration comes from the address that it is about.",
    ),
    Attack(
        id="dhcp6-client-spoof",
        title="A DHCPv6 client that says it is the victim",
        group="F",
        guard=Guard.DHCP,
        published=("CVE-2015-8914",),
        variants=(
            _row("link-local", lambda c: f.dhcp6_client(c, src=c.v.ll), "L08/solicit", _FOREIGN),
            _row("global", lambda c: f.dhcp6_client(c, src=c.v.ip6), "L08/solicit", _PUBLIC),
            _row("unspecified", lambda c: f.dhcp6_client(c, src=f.ZERO_6), "L08/solicit", _FOREIGN),
            _row(
                "duid",
                lambda c: f.udp6(
                    c, 546, 547, f.dhcp6(f.SOLICIT, c.v.mac), src=c.a.ll, dst=f.DHCP6_SERVERS
                ),
                "L08/solicit",
                _HARMLESS,
            ),
        ),
        note="A DUID names no port: no guard can judge it.",
    ),
    Attack(
        id="dhcp-ip-learning",
        title="Teaching the filter the victim's address",
        group="F",
        guard=Guard.DHCP,
        variants=(
            _row("first-packet", lambda c: f.udp4(c, src=c.v.ip4), "L29/udp4", _PUBLIC),
            _row(
                "probe",
                lambda c: f.arp(c, 1, spa=f.ZERO_4, tpa=c.v.ip4),
                "L01/own",
                on(strict=drop(Guard.ARP), mac=PASS, router=drop(Guard.ARP)),
            ),
            _row(
                "offer-by-a-guest",
                lambda c: f.udp4(c, 67, 68, offer(c, f.ACK), dst=c.v.ip4),
                "L07/renew",
            ),
        ),
        note="Nothing is learned from a guest; the flood is scenario s8.",
    ),
    Attack(
        id="dhcp-responder-parse",
        title="Messages that break the responder",
        group="F",
        guard=Guard.DHCP,
        waits_for="a DHCP responder of our own",
    ),
    Attack(
        id="dhcp-client-behind-filter",
        title="The guest's DHCP with a server on the uplink",
        group="F",
        guard=Guard.DHCP,
        variants=(
            Variant(
                name="discover",
                frame=lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER)),
                expect=everywhere(PASS),
            ),
            Variant(
                name="offer-from-outside",
                frame=lambda c: f.udp4(c, 67, 68, offer(c), dst=f.BROADCAST_4),
                expect=everywhere(PASS),
                actor=Actor.OUTSIDE,
            ),
            Variant(
                name="ack-from-outside",
                frame=lambda c: f.udp4(c, 67, 68, offer(c, f.ACK), dst=c.v.ip4),
                expect=everywhere(PASS),
                actor=Actor.OUTSIDE,
            ),
            Variant(
                name="advertisement-from-outside",
                frame=lambda c: f.ra(c, prefix(c), f.slla(c.a.mac)),
                expect=everywhere(PASS),
                actor=Actor.OUTSIDE,
            ),
        ),
        note="Legal: the positive twin of the DHCP rows. Real clients are scenario s5.",
    ),
)
