"""Offloads that a sender leaves: a checksum that writes into octets that were judged.

The completion of a checksum, after every filter, writes two octets at the place that the sender
chose. Each row is a legal frame, of which the completion makes a frame that a guard refuses when it
is sent openly; the sender chooses two octets behind the place where the sum begins, so that it
comes out right.
"""

from __future__ import annotations

from collections.abc import Callable

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import (
    Actor,
    Attack,
    Effect,
    Frame,
    Offload,
    Path,
    Variant,
    drop,
    everywhere,
)
from vifguard.model.guard import Guard
from vifguard.packet import build

_HOST = everywhere(drop(Guard.HOST))
_TCP, _UDP, _UDP6, _DHCP, _VXLAN = "L30/tcp4", "L30/udp4", "L30/udp6", "L30/dhcp4", "L30/vxlan"
_EVEN = bytes(46)


def balanced(frame: bytes, start: int, wanted: bytes) -> bytes:
    """The frame with such last octets that the sum from `start` on is completed as `wanted`.

    The two last that lie at an even distance from `start` must be free for that.
    """
    knob = len(frame) - 2 - (len(frame) - start) % 2
    cleared = frame[:knob] + bytes(2) + frame[knob + 2 :]
    summed = 0xFFFF - build.internet_checksum(cleared[start:])
    value = (0xFFFF - int.from_bytes(wanted, "big") - summed) % 0xFFFF
    return cleared[:knob] + value.to_bytes(2, "big") + cleared[knob + 2 :]


def _forged(  # noqa: PLR0913 - the parts of one of these
    name: str,
    frame: Frame,
    start: int,
    at: int,
    wanted: Callable[[Actors], bytes],
    twin: str,
    *,
    effect: Effect = Effect.DELIVERY,
    actor: Actor = Actor.GUEST,
    paths: tuple[Path, ...] = tuple(Path),
) -> Variant:
    """A frame whose octets `at` and the next become `wanted` when its checksum is completed."""
    return Variant(
        name=name,
        frame=lambda c: balanced(frame(c), start, wanted(c)),
        expect=_HOST,
        twin=twin,
        actor=actor,
        effect=effect,
        offload=lambda _c: Offload(start, at - start),
        paths=paths,
    )


def _number(value: int) -> Callable[[Actors], bytes]:
    return lambda _c: value.to_bytes(2, "big")


def _attack(name: str, title: str, *variants: Variant, note: str = "") -> Attack:
    return Attack(id=name, title=title, group="X", guard=Guard.HOST, variants=variants, note=note)


def _own_na(c: Actors) -> bytes:
    """An advertisement of the own address, with octets behind it that nobody reads."""
    return f.own_na(c, c.a.ip6, trailer=_EVEN)


def _discover(c: Actors) -> bytes:
    return f.dhcp_client(c, f.dhcp(c, f.DISCOVER), trailer=bytes(2))


def _two_messages(c: Actors) -> bytes:
    """A client's message and, behind it, one that names the victim's hardware address."""
    own, forged = f.dhcp(c, f.DISCOVER), f.dhcp(c, f.DISCOVER, chaddr=c.v.mac)
    return f.dhcp_client(c, own + forged)


def _cut_in_two(c: Actors) -> Offload:
    size = len(f.dhcp(c, f.DISCOVER))
    return Offload(start=34, offset=6, gso=5, size=size, headers=42)


ROWS: tuple[Attack, ...] = (
    _attack(
        "x-offload-arp",
        "A completed checksum writes into ARP",
        _forged(
            "sender-address",
            lambda c: f.arp(c, 1, tpa=c.v.ip4, trailer=bytes(18)),
            20,
            30,
            lambda c: c.p.ip4.packed[2:],
            _UDP,
            effect=Effect.NEIGHBOUR,
            paths=(Path.GUEST,),
        ),
        _forged(
            "sender-mac",
            lambda c: f.arp(c, 1, tpa=c.v.ip4, trailer=bytes(18)),
            20,
            26,
            lambda c: c.v.mac.octets[4:],
            _UDP,
        ),
    ),
    _attack(
        "x-offload-ip4-source",
        "A completed checksum writes the IPv4 source",
        _forged("victim", f.udp4, 20, 28, lambda c: c.v.ip4.packed[2:], _UDP),
    ),
    _attack(
        "x-offload-ip6-source",
        "A completed checksum writes the IPv6 source",
        _forged("victim", f.udp6, 34, 36, lambda c: c.v.ip6.packed[14:], _UDP6),
    ),
    _attack(
        "x-offload-nd",
        "A completed checksum writes into neighbour discovery",
        _forged("target", _own_na, 54, 76, lambda c: c.v.ip6.packed[14:], _UDP6),
        _forged("link-layer-address", _own_na, 54, 84, lambda c: c.v.mac.octets[4:], _UDP6),
    ),
    _attack(
        "x-offload-ra",
        "A completed checksum makes a router advertisement of an echo request",
        _forged(
            "echo",
            lambda c: f.icmp6(c, 128, bytes(28), src=c.a.ll, dst=f.ALL_NODES, hop=255),
            40,
            54,
            _number(0x8600),
            _UDP6,
        ),
    ),
    _attack(
        "x-offload-dhcp",
        "A completed checksum makes a server of a client, or forges its hardware address",
        _forged(
            "answer",
            lambda c: f.udp4(c, 5000, 5000, bytes(300), dst=f.BROADCAST_4),
            34,
            36,
            _number(68),
            _UDP,
        ),
        _forged("hardware-address", _discover, 34, 74, lambda c: c.v.mac.octets[4:], _DHCP),
        Variant(
            name="two-in-one",
            frame=_two_messages,
            expect=_HOST,
            twin=_DHCP,
            offload=_cut_in_two,
        ),
        note="Of two messages in one datagram that is left to be segmented, the second was never "
        "judged.",
    ),
    _attack(
        "x-offload-tcp",
        "A completed checksum writes TCP's ports and flags",
        _forged("port", lambda c: f.ip4(c, build.tcp(4000, 9, f.DATA)), 34, 36, _number(22), _TCP),
        _forged(
            "flags",
            lambda c: f.ip4(c, build.tcp(4000, 9, f.DATA)),
            34,
            46,
            _number(0x5004),
            _TCP,
        ),
        _forged(
            "summed-from-before",
            lambda c: f.ip4(c, build.tcp(4000, 9, f.DATA)),
            32,
            50,
            _number(0),
            _TCP,
        ),
    ),
    _attack(
        "x-offload-udp",
        "A completed checksum writes UDP's ports",
        _forged("port", f.udp4, 34, 36, _number(53), _UDP),
        _forged("port6", f.udp6, 54, 56, _number(53), _UDP6),
    ),
    _attack(
        "x-offload-fragment",
        "A completed checksum in a fragment, where no header is",
        _forged("first", lambda c: f.udp4(c, more=True), 34, 36, _number(68), _UDP),
        _forged("later", lambda c: f.udp4(c, offset=100), 34, 40, _number(68), _UDP),
    ),
    _attack(
        "x-offload-tunnel",
        "A completed checksum of a tunnel's payload that is stored outside of it",
        _forged("vxlan", lambda c: f.udp4(c, 4000, 4789), 36, 36, _number(68), _VXLAN),
        _forged("gre", lambda c: f.ip4(c, bytes(40), 47), 20, 30, _number(0), _VXLAN),
    ),
    _attack(
        "x-offload-vlan",
        "A completed checksum makes a tag of the type",
        _forged("type", f.udp4, 12, 12, _number(0x8100), _UDP, effect=Effect.UNSENT),
        note="Linux refuses a checksum in front of the network header since 2024.",
    ),
    _attack(
        "x-offload-sctp",
        "A completed internet checksum where SCTP has its CRC",
        _forged("crc", lambda c: f.ip4(c, bytes(40), 132), 34, 42, _number(0), _UDP),
    ),
    _attack(
        "x-in-offload",
        "The same from beyond the uplink",
        _forged(
            "udp-port",
            lambda c: f.udp4(c, dst=c.v.ip4),
            34,
            36,
            _number(53),
            "L30/udp4-from-outside",
            actor=Actor.OUTSIDE,
        ),
        _forged(
            "arp",
            lambda c: f.arp(c, 1, tpa=c.v.ip4, trailer=bytes(18)),
            20,
            30,
            lambda c: c.p.ip4.packed[2:],
            "L30/udp4-from-outside",
            actor=Actor.OUTSIDE,
        ),
    ),
    Attack(
        id="x-listed-tag-without-vlan",
        title="A listed tag that its receiver takes off for none",
        group="X",
        guard=Guard.ETHERTYPE,
        published=("CVE-2021-27853",),
        proved_by=(
            "tests/enforce/test_offload.py::test_a_listed_tag_without_a_vlan_is_no_way_around",
        ),
    ),
)
