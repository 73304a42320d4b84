"""Group C: ARP and RARP."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import BROADCAST, Actors
from vifguard.lab.attacks.attack import (
    CLOSED,
    PASS,
    Actor,
    Attack,
    Effect,
    Frame,
    Prelude,
    Refused,
    Variant,
    VariantsOf,
    drop,
    everywhere,
    on,
)
from vifguard.lab.attacks.legal import UNKNOWN_MAC
from vifguard.model.guard import Guard

_ARP = on(strict=drop(Guard.ARP), mac=PASS, router=drop(Guard.ARP))
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))

METADATA = IPv4Address("169.254.169.254")

_REQUEST, _REPLY = "L04/broadcast", "L05/unicast"


_row = VariantsOf(_ARP)


def _both(
    name: str,
    sender: Callable[[Actors], IPv4Address],
    effect: Effect = Effect.DELIVERY,
    actor: Actor = Actor.GUEST,
) -> tuple[Variant, Variant]:
    """The shape as a request and as a reply, naming this sender."""
    return (
        Variant(
            name=f"{name}-request",
            frame=lambda c: f.arp(c, 1, spa=sender(c)),
            expect=_ARP, twin=_REQUEST, effect=effect, actor=actor,
        ),
        Variant(
            name=f"{name}-reply",
            frame=lambda c: f.arp(c, 2, spa=sender(c)),
            expect=_ARP, twin=_REPLY, effect=effect, actor=actor,
        ),
    )  # fmt: skip


def _gratuitous(op: int) -> Frame:
    return lambda c: f.arp(c, op, spa=c.v.ip4, tpa=c.v.ip4, tha=BROADCAST, dst_mac=BROADCAST)


def _tags(*tags: tuple[int, int]) -> Frame:
    return lambda c: f.tagged(f.arp(c, 1, spa=c.v.ip4), *tags)


def _stack(name: str, *tags: tuple[int, int], effect: Effect = Effect.DELIVERY) -> Variant:
    return _row(name, _tags(*tags), _REQUEST, _TYPE, effect)


def _odd(name: str, forged: f.Arp) -> Variant:
    """A request whose hardware addresses cannot be located by its own fields."""
    return _row(name, lambda c: f.arp(c, 1, **forged), _REQUEST, _MAC)


def _operation(op: int, *, rarp: bool = False) -> tuple[Variant, ...]:
    """An operation that is neither request nor reply, naming the victim."""
    name = f"{'rarp' if rarp else 'arp'}-op-{op:#x}"
    if rarp:
        return (
            _row(f"{name}-spa", lambda c: f.rarp(c, op, spa=c.v.ip4), "L19/rarp", _TYPE),
            _row(f"{name}-tpa", lambda c: f.rarp(c, op, tpa=c.v.ip4), "L19/rarp", _TYPE),
        )
    return (_row(name, lambda c: f.arp(c, op, spa=c.v.ip4), _REPLY),)


def _closed(name: str, frame: Frame) -> Variant:
    return Variant(
        name=name, frame=frame, expect=everywhere(CLOSED), twin=_REQUEST, actor=Actor.CLOSED
    )


_Q, _AD = (0x8100, 0), (0x88A8, 0)

_NOT_A_GUARD = (
    ("dhcp", ["dhcp", "auto"]), ("auto", "auto"), ("empty", ""), ("yes", ["yes"]),
    ("true", True), ("one", 1), ("list-of-one", [1]),
)  # fmt: skip

ROWS: tuple[Attack, ...] = (
    Attack(
        id="arp-spa-spoof",
        title="ARP that names another's address as its sender",
        group="C",
        guard=Guard.ARP,
        published=("LP#1274034", "CVE-2021-38598", "OSSA-2021-004"),
        variants=(
            *_both("victim", lambda c: c.v.ip4, Effect.NEIGHBOUR),
            *_both("gateway", lambda c: c.g.ip4),
            *_both("metadata", lambda _c: METADATA),
            *_both("subnet-broadcast", lambda c: c.net4.broadcast_address),
            _row("gratuitous-request", _gratuitous(1), "L02/own", effect=Effect.NEIGHBOUR),
            _row("gratuitous-reply", _gratuitous(2), "L03/to-everyone", effect=Effect.NEIGHBOUR),
        ),
    ),
    Attack(
        id="arp-request-unchecked",
        title="Requests poison caches as well as replies",
        group="C",
        guard=Guard.ARP,
        variants=(
            _row(
                "unicast-request",
                lambda c: f.arp(c, 1, spa=c.v.ip4, dst_mac=c.p.mac),
                "L04/unicast",
                effect=Effect.NEIGHBOUR,
            ),
        ),
    ),
    Attack(
        id="arp-sha-mismatch",
        title="A hardware address inside ARP that is not the sender's",
        group="C",
        guard=Guard.ARP,
        variants=(
            _row("victim-request", lambda c: f.arp(c, 1, sha=c.v.mac), _REQUEST, _MAC),
            _row("victim-reply", lambda c: f.arp(c, 2, sha=c.v.mac), _REPLY, _MAC),
            _row("random-request", lambda c: f.arp(c, 1, sha=UNKNOWN_MAC), _REQUEST, _MAC),
            _row("random-reply", lambda c: f.arp(c, 2, sha=UNKNOWN_MAC), _REPLY, _MAC),
        ),
    ),
    Attack(
        id="arp-probe-abuse",
        title="0.0.0.0 as ARP sender outside a probe for an own address",
        group="C",
        guard=Guard.ARP,
        published=("RFC 5227",),
        variants=(
            _row("reply", lambda c: f.arp(c, 2, spa=f.ZERO_4, tpa=c.v.ip4), "L01/own"),
            _row(
                "victims-hardware-address",
                lambda c: f.arp(c, 1, spa=f.ZERO_4, sha=c.v.mac, tpa=c.a.ip4),
                "L01/own",
                _MAC,
            ),
            _row(
                "victims-source",
                lambda c: f.arp(c, 1, spa=f.ZERO_4, src_mac=c.v.mac, tpa=c.a.ip4),
                "L01/own",
                _MAC,
                Effect.FORWARDING,
            ),
            _row(
                "for-the-victims-address",
                lambda c: f.arp(c, 1, spa=f.ZERO_4, tpa=c.v.ip4),
                "L01/own",
            ),
        ),
    ),
    Attack(
        id="arp-odd-lengths-and-types",
        title="ARP of other lengths, types and operations",
        group="C",
        guard=Guard.ARP,
        variants=(
            _odd("hlen-8", {"hardware_length": 8}),
            _odd("plen-16", {"protocol_length": 16}),
            _odd("protocol-ipv6", {"protocol": 0x86DD}),
            _odd("hardware-6", {"hardware": 6}),
            *(
                _row(f"op-{op:#x}", lambda c, op=op: f.arp(c, op), _REPLY)  # type: ignore[misc]
                for op in (0x0101, 3, 4, 8, 9, 0)
            ),
            _row("truncated-14", lambda c: f.arp(c, 1)[: 14 + 14], _REQUEST, _MAC),
            _row("truncated-27", lambda c: f.arp(c, 1)[: 14 + 27], _REQUEST, _MAC),
            _row("trailer-1400", lambda c: f.arp(c, 1, trailer=bytes(1400)), _REQUEST),
        ),
    ),
    Attack(
        id="arp-tagged-vlan0",
        title="ARP behind priority tags, which receivers take off",
        group="C",
        guard=Guard.ARP,
        published=("LP#1884341", "CVE-2020-17040", "CVE-2021-27853"),
        variants=(
            _stack("vid-0", _Q, effect=Effect.NEIGHBOUR),
            _stack("vid-0-twice", _Q, _Q, effect=Effect.NEIGHBOUR),
            _stack("vid-0-nine-times", *(9 * (_Q,)), effect=Effect.NEIGHBOUR),
            _stack("802.1ad-vid-0", _AD, effect=Effect.NEIGHBOUR),
            _stack("mixed", _AD, _Q, _AD, effect=Effect.NEIGHBOUR),
        ),
    ),
    Attack(
        id="arp-acl-accept-first",
        title="ARP accepted for the sake of a rule that stands above the guard",
        group="C",
        guard=Guard.ARP,
        published=("CVE-2025-52890", "GHSA-p7fw-vjjm-2rwp"),
        variants=(
            _row("address", lambda c: f.arp(c, 2, spa=c.v.ip4), _REPLY, effect=Effect.NEIGHBOUR),
            _row(
                "hardware-address",
                lambda c: f.arp(c, 2, spa=c.v.ip4, sha=c.v.mac),
                _REPLY,
                _MAC,
            ),
        ),
        note="Played with no security group; no group is asked about ARP.",
    ),
    Attack(
        id="arp-default-accept",
        title="A port whose policy did not arrive",
        group="C",
        guard=Guard.ARP,
        published=("CVE-2021-38598", "LP#1938670", "LP#1922892"),
        variants=(
            _closed("spoofed", lambda c: f.arp(c, 1, spa=c.v.ip4)),
            _closed("own", lambda c: f.arp(c, 1)),
            _closed("ordinary", f.udp4),
        ),
        note="Played from a port that is held closed: whatever is not permitted is dropped.",
    ),
    Attack(
        id="arp-jump-lost",
        title="Another port's update that takes this port's guard along",
        group="C",
        guard=Guard.ARP,
        published=("LP#1520013", "LP#1472452"),
        prelude=Prelude.ANOTHER_PORT_UPDATED,
        variants=_both("victim", lambda c: c.v.ip4, Effect.NEIGHBOUR),
    ),
    Attack(
        id="arp-filter-off-by-vocabulary",
        title="Words that turn a filter off instead of being refused",
        group="C",
        guard=Guard.ARP,
        refused=(
            *(
                Refused(name=f"guards-{name}", plural="ports", body={"guards": value})
                for name, value in _NOT_A_GUARD
            ),
            Refused(name="profile-auto", plural="ports", body={"guard_profile": "auto"}),
            Refused(name="profile-empty", plural="ports", body={"guard_profile": ""}),
        ),
    ),
    Attack(
        id="arp-ip-filter-l3-only",
        title="An address filter that forgot ARP",
        group="C",
        guard=Guard.ARP,
        variants=tuple(
            Variant(
                name=variant.name,
                frame=variant.frame,
                expect=everywhere(drop(Guard.ARP)),
                twin=variant.twin,
                actor=Actor.IP_GUARD,
                effect=Effect.NEIGHBOUR,
            )
            for variant in _both("victim", lambda c: c.v.ip4)
        ),
        note="Played from a port whose owner asked for the guard `ip` alone: it implies `arp`.",
    ),
    Attack(
        id="rarp-and-inarp",
        title="RARP and inverse ARP that name an address",
        group="C",
        guard=Guard.ARP,
        published=("RFC 903", "RFC 2390"),
        variants=(
            *_operation(3, rarp=True),
            *_operation(4, rarp=True),
            *(variant for op in (3, 4, 8, 9) for variant in _operation(op)),
        ),
    ),
)
