"""Group A: MAC identity."""

from __future__ import annotations

from collections.abc import Callable

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import (
    Attack,
    Effect,
    Frame,
    Refused,
    Variant,
    VariantsOf,
    drop,
    everywhere,
    on,
)
from vifguard.lab.attacks.legal import UNKNOWN_MAC, mld2
from vifguard.model.address import Mac
from vifguard.model.guard import Guard

_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))


_forged = VariantsOf(_MAC, effect=Effect.FORWARDING)


def _discover(c: Actors, src: Mac) -> bytes:
    return f.dhcp_client(c, f.dhcp(c, f.DISCOVER), src_mac=src)


def _near(change: Callable[[bytearray], None]) -> Frame:
    """An ordinary datagram from a MAC that differs from the port's in one nibble."""

    def frame(c: Actors) -> bytes:
        octets = bytearray(c.a.mac.octets)
        change(octets)
        return f.udp4(c, src_mac=Mac(bytes(octets)))

    return frame


def _set(index: int, bits: int) -> Frame:
    def change(octets: bytearray) -> None:
        octets[index] ^= bits

    return _near(change)


def _group_source(name: str, source: str) -> Variant:
    mac = Mac.parse(source)
    return Variant(
        name=name,
        frame=lambda c: f.udp4(c, src_mac=mac, dst=f.BROADCAST_4),
        expect=everywhere(drop(Guard.HOST)),
        twin="L18/limited-broadcast",
        effect=Effect.NONE,
    )


def _flood(index: int) -> Variant:
    mac = Mac(bytes((0x02, 0x66, 0x10, 0x0D, index, 0xFF - index)))
    return Variant(
        name=f"random-{index}",
        frame=lambda c: f.udp4(c, src_mac=mac, dst=f.BROADCAST_4),
        expect=_MAC,
        twin="L18/limited-broadcast",
    )


def _payload(c: Actors, kind: int) -> bytes:
    return f.ether(kind, f.DATA + bytes(5), c.v.mac)


_REFUSED_MACS = (
    "ff:ff:ff:ff:ff:ff",
    "01:00:5e:00:00:01",
    "33:33:00:00:00:01",
    "00:00:00:00:00:00",
)

ROWS: tuple[Attack, ...] = (
    Attack(
        id="mac-src-victim",
        title="A datagram from another's MAC",
        group="A",
        guard=Guard.MAC,
        published=("CVE-2016-5363", "OSSA-2016-009"),
        variants=(
            _forged("victim", lambda c: f.udp4(c, 1, 1, src_mac=c.v.mac, dst=c.g.ip4), "L29/udp4"),
            _forged(
                "gateway",
                lambda c: f.udp4(c, 1, 1, src_mac=c.g.mac),
                "L29/udp4",
                effect=Effect.DELIVERY,
            ),
            _forged("victim-v6", lambda c: f.udp6(c, 1, 1, src_mac=c.v.mac), "L29/udp6"),
        ),
    ),
    Attack(
        id="mac-src-in-dhcp",
        title="DHCP as a way around the MAC check",
        group="A",
        guard=Guard.MAC,
        published=("CVE-2016-5363", "LP#1558658", "CVE-2025-52889", "GHSA-9q7c-qmhm-jv86"),
        variants=(
            _forged("victim", lambda c: _discover(c, c.v.mac), "L06/discover"),
            _forged(
                "random",
                lambda c: _discover(c, UNKNOWN_MAC),
                "L06/discover",
                effect=Effect.DELIVERY,
            ),
        ),
    ),
    Attack(
        id="mac-src-in-nd-na",
        title="Protocols of address resolution from another's MAC",
        group="A",
        guard=Guard.MAC,
        variants=(
            _forged("na", lambda c: f.own_na(c, c.a.ip6, src_mac=c.v.mac), "L11/unsolicited"),
            _forged(
                "ns",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), src_mac=c.v.mac),
                "L13/multicast",
            ),
            _forged("rs", lambda c: f.rs(c, f.slla(c.a.mac), src_mac=c.v.mac), "L09/link-local"),
            _forged("mld", lambda c: mld2(c, c.a.ll, c.v.mac), "L14/v2-link-local"),
            _forged("arp", lambda c: f.arp(c, 1, src_mac=c.v.mac), "L04/broadcast"),
        ),
    ),
    Attack(
        id="mac-src-in-nonip",
        title="Another's MAC in anything but IP",
        group="A",
        guard=Guard.MAC,
        published=("CVE-2016-5363",),
        variants=(
            _forged("0x88b5", lambda c: _payload(c, 0x88B5), "L02/own", _TYPE),
            _forged("arp", lambda c: f.arp(c, 1, src_mac=c.v.mac, sha=c.v.mac), "L04/broadcast"),
            _forged(
                "rarp",
                lambda c: f.rarp(c, src_mac=c.v.mac, sha=c.v.mac, tha=c.v.mac),
                "L19/rarp",
            ),
            _forged("ipv6", lambda c: f.udp6(c, src_mac=c.v.mac, dst=f.ALL_NODES), "L29/udp6"),
            _forged(
                "802.1q",
                lambda c: f.tagged(f.arp(c, 1, src_mac=c.v.mac), (0x8100, 0)),
                "L04/broadcast",
                _TYPE,
            ),
            _forged(
                "llc",
                lambda c: f.ether(0x0026, b"\xf0\xf0\x03" + bytes(43), c.v.mac),
                "L02/own",
                _TYPE,
            ),
        ),
    ),
    Attack(
        id="mac-fdb-learn-before-forward-hook",
        title="A dropped frame that still moves the victim's forwarding entry",
        group="A",
        guard=Guard.MAC,
        published=("LP#1732294",),
        variants=(
            _forged(
                "broadcast",
                lambda c: f.udp4(c, src_mac=c.v.mac, dst=f.BROADCAST_4),
                "L18/limited-broadcast",
            ),
            _forged(
                "unicast-to-self",
                lambda c: f.udp4(c, src_mac=c.v.mac, dst_mac=c.p.mac),
                "L29/udp4",
            ),
        ),
    ),
    Attack(
        id="mac-src-group-or-zero",
        title="A group address or zero as source",
        group="A",
        guard=Guard.MAC,
        variants=(
            _group_source("broadcast", "ff:ff:ff:ff:ff:ff"),
            _group_source("multicast-v4", "01:00:5e:00:00:01"),
            _group_source("multicast-v6", "33:33:00:00:00:01"),
            _group_source("zero", "00:00:00:00:00:00"),
        ),
        refused=tuple(
            Refused(name=f"port-mac-{mac}", plural="ports", body={"mac_address": mac})
            for mac in _REFUSED_MACS
        ),
        note="A Linux bridge drops these itself; other attachments do not.",
    ),
    Attack(
        id="mac-flood-fdb",
        title="A flood of sources that fills the forwarding table",
        group="A",
        guard=Guard.MAC,
        published=("LP#1732294",),
        variants=tuple(_flood(index) for index in range(4)),
        note="Scenario s8 plays the flood itself.",
    ),
    Attack(
        id="mac-src-tagged",
        title="Another's MAC behind a tag",
        group="A",
        guard=Guard.MAC,
        published=("VU#855201",),
        variants=tuple(
            _forged(
                name,
                lambda c, tag=tag: f.tagged(f.arp(c, 1, src_mac=c.v.mac), tag),  # type: ignore[misc]
                "L04/broadcast",
                _TYPE,
                Effect.DELIVERY,
            )
            for name, tag in (
                ("vid-0", (0x8100, 0)),
                ("vid-100", (0x8100, 100)),
                ("802.1ad", (0x88A8, 100)),
            )
        ),
    ),
    Attack(
        id="mac-rarp-announce",
        title="Announcing another's MAC as a migrated guest's",
        group="A",
        guard=Guard.MAC,
        variants=(
            _forged(
                "inside",
                lambda c: f.rarp(c, sha=c.v.mac, tha=c.v.mac),
                "L19/rarp",
                effect=Effect.DELIVERY,
            ),
            _forged(
                "outside-too",
                lambda c: f.rarp(c, src_mac=c.v.mac, sha=c.v.mac, tha=c.v.mac),
                "L19/rarp",
            ),
        ),
    ),
    Attack(
        id="mac-set-truncated",
        title="MACs with leading zeros, compared as text",
        group="A",
        guard=Guard.MAC,
        published=("LP#2038541", "LP#1976323"),
        variants=(
            _forged("last-octet", _set(5, 0x01), "L29/udp4", effect=Effect.DELIVERY),
            _forged("last-octet-high", _set(5, 0x10), "L29/udp4", effect=Effect.DELIVERY),
            _forged("fourth-octet", _set(3, 0x01), "L29/udp4", effect=Effect.DELIVERY),
            _forged("first-octet", _set(0, 0x10), "L29/udp4", effect=Effect.DELIVERY),
        ),
        note="The attacker's own MAC has leading-zero octets and is given in upper case.",
    ),
)
