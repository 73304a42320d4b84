"""Group G: Ethernet types, tags and encapsulations."""

from __future__ import annotations

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import BROADCAST, Actors
from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Effect,
    Frame,
    Variant,
    VariantsOf,
    drop,
    everywhere,
    on,
)
from vifguard.model.address import Mac
from vifguard.model.guard import Guard
from vifguard.packet import build

_TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_HOST = everywhere(drop(Guard.HOST))
_HARMLESS = on(strict=PASS, mac=PASS, router=PASS)

_ARP, _UDP = "L04/broadcast", "L29/udp4"

Tag = tuple[int, int]


_row = VariantsOf(_TYPE, twin=_ARP)


def _tagged_arp(*tags: Tag) -> Frame:
    return lambda c: f.tagged(f.arp(c, 1), *tags)


def _tagged_udp(*tags: Tag) -> Frame:
    return lambda c: f.tagged(f.udp4(c), *tags)


def _plain(kind: int, dst: Mac = BROADCAST, payload: bytes = f.DATA) -> Frame:
    return lambda c: f.ether(kind, payload, c.a.mac, dst)


# LLC and SNAP


_INNER: dict[str, tuple[Frame, str]] = {
    "arp": (lambda c: f.arp(c, 1), _ARP),
    "ipv4": (f.udp4, _UDP),
    "ipv6": (f.udp6, "L29/udp6"),
}


def _encapsulated(inner: Frame, oui: int) -> Frame:
    return lambda c: f.snap(inner(c), oui)


def _snaps() -> tuple[Variant, ...]:
    return tuple(
        _row(f"{name}-{oui:06x}", _encapsulated(inner, oui), twin)
        for name, (inner, twin) in _INNER.items()
        for oui in (0, 0xF8)
    )


def _length(length: int) -> Frame:
    return lambda c: f.snap(f.arp(c, 1), length=length)


# Control protocols of bridges and switches

_BRIDGES = "01:80:c2:00:00:0"
_VENDOR = Mac.parse("01:00:0c:cc:cc:cc")
_PVST = Mac.parse("01:00:0c:cc:cc:cd")

_CONFIG_BPDU = bytes(4) + bytes(27)  # protocol, version, type, flags; priority 0 everywhere
_TCN_BPDU = bytes(3) + b"\x80"
_RST_BPDU = b"\0\0\x02\x02\x3c" + bytes(31)


def _reserved(last: str) -> Mac:
    return Mac.parse(_BRIDGES + last)


def _bpdu(name: str, payload: bytes) -> Variant:
    def frame(c: Actors) -> bytes:
        return build.ethernet(c.a.mac, _reserved("0"), build.llc(payload))

    return _row(name, frame, "L02/own", _HOST, Effect.HOST)


def _snap_to(dst: Mac, oui: int, pid: int) -> Frame:
    return lambda c: build.ethernet(c.a.mac, dst, build.snap(bytes(40), oui=oui, pid=pid))


def _to_bridges(name: str, kind: int, last: str, payload: bytes = bytes(46)) -> Variant:
    """A frame to a group that a bridge keeps for itself: only the host could receive it."""
    return _row(name, _plain(kind, _reserved(last), payload), "L02/own", _HOST, Effect.HOST)


def _pause(name: str, payload: bytes) -> Variant:
    """A frame to the group of MAC control, which a Linux bridge drops itself."""
    return _row(name, _plain(0x8808, _reserved("1"), payload), "L02/own", _HOST, Effect.NONE)


def _to_everyone(name: str, kind: int) -> Variant:
    return _row(name, _plain(kind, payload=bytes(46)), "L02/own", _HOST)


_LLDP = bytes.fromhex("0207040200000a0000040701766966677264060200780000")
_AUTO_ATTACH_SHORT = _LLDP[:-2] + bytes.fromhex("fe0500040d0b000000")
_REPEATED = bytes.fromhex("0207040200000a0000" * 3 + "060200780000")

# Label stacks and sessions


def _labels(count: int) -> bytes:
    """MPLS label stack entries, none of which is marked as the bottom."""
    return (16 << 12 | 64).to_bytes(4, "big") * count


def _pppoe(c: Actors) -> bytes:
    inner = build.ipv4(c.v.ip4, c.p.ip4, build.udp(1, 1, f.DATA)).octets
    session = b"\x11\x00\x00\x01" + (len(inner) + 2).to_bytes(2, "big") + b"\x00\x21"
    return f.ether(0x8864, session + inner, c.a.mac, c.p.mac)


def _cut(frame: Frame, length: int) -> Frame:
    return lambda c: frame(c)[:length]


_VENDOR_TYPES = (
    ("trill", 0x22F3), ("ptp", 0x88F7), ("profinet", 0x8892), ("fcoe", 0x8906), ("fip", 0x8914),
    ("aoe", 0x88A2), ("roce", 0x8915), ("macsec-like-893a", 0x893A), ("batman", 0x4305),
    ("wake-on-lan", 0x0842),
)  # fmt: skip

ROWS: tuple[Attack, ...] = (
    Attack(
        id="vlan-single-nonzero",
        title="A legal frame of the port behind one tag",
        group="G",
        guard=Guard.ETHERTYPE,
        variants=(
            *(
                variant
                for vid in (1, 100, 4094, 4095)
                for variant in (
                    _row(f"arp-vid-{vid}", _tagged_arp((0x8100, vid))),
                    _row(f"ipv4-vid-{vid}", _tagged_udp((0x8100, vid)), _UDP),
                )
            ),
            _row(
                "from-outside",
                lambda c: f.tagged(f.udp4(c, dst=c.v.ip4), (0x8100, 100)),
                "L29/udp4-from-outside",
                actor=Actor.OUTSIDE,
            ),
        ),
    ),
    Attack(
        id="qinq-and-odd-tpid",
        title="Stacked tags and other tag types",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("CVE-2023-0179",),
        variants=(
            _row("ad-q", _tagged_arp((0x88A8, 100), (0x8100, 100))),
            _row("q-ad", _tagged_arp((0x8100, 100), (0x88A8, 100))),
            _row("9100", _tagged_arp((0x9100, 100))),
            _row("9200", _tagged_arp((0x9200, 100))),
            _row("mac-in-mac", _plain(0x88E7)),
            _row("three", _tagged_arp((0x8100, 1), (0x8100, 2), (0x8100, 3))),
            _row("cut-after-the-tpid", _cut(_tagged_arp((0x8100, 0)), 14), effect=Effect.UNSENT),
            _row("cut-in-the-tag", _cut(_tagged_arp((0x8100, 0)), 16), effect=Effect.UNSENT),
            _row("service-vid", _tagged_arp((0x88A8, 2))),
        ),
        note="A tag cut short is thrown away by the receiving kernel before any hook.",
    ),
    Attack(
        id="vlan-double-tag-hop",
        title="An outer tag for the bridge, an inner one for the victim's VLAN",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("LP#2048785",),
        variants=(
            _row("native-outside", _tagged_arp((0x8100, 1), (0x8100, 100))),
            _row("priority-outside", _tagged_arp((0x8100, 0), (0x8100, 100))),
        ),
        note="Trunk ports and their lists come with trunks.",
    ),
    Attack(
        id="snap-llc",
        title="Ethernet types said the other way",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("VU#855201",),
        variants=(
            *_snaps(),
            _row("length-0", _length(0)),
            _row("length-05dd", _length(0x05DD)),
            _row("length-05ff", _length(0x05FF)),
            _row(
                "llc-without-snap",
                lambda c: build.ethernet(
                    c.a.mac, BROADCAST, build.llc(bytes(43), dsap=0xF0, ssap=0xF0)
                ),
            ),
            _row("novell-raw", _plain(0x002E, payload=b"\xff\xff" + bytes(44))),
            _row("8870", _plain(0x8870)),
            _row("88b7", _plain(0x88B7)),
            _row(
                "from-outside",
                lambda c: f.snap(f.udp4(c, dst=c.v.ip4)),
                "L29/udp4-from-outside",
                actor=Actor.OUTSIDE,
            ),
        ),
    ),
    Attack(
        id="stp-bpdu",
        title="Spanning tree from a guest",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("CVE-2016-5363",),
        variants=(
            _bpdu("config", _CONFIG_BPDU),
            _bpdu("topology-change", _TCN_BPDU),
            _bpdu("rapid", _RST_BPDU),
            _row("per-vlan", _snap_to(_PVST, 0x00000C, 0x010B), "L02/own"),
        ),
    ),
    Attack(
        id="lldp-to-host",
        title="LLDP to the host's own sockets",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("CVE-2022-4337", "CVE-2020-27827"),
        variants=(
            _to_bridges("nearest-bridge", 0x88CC, "e", _LLDP),
            _to_bridges("auto-attach-short", 0x88CC, "e", _AUTO_ATTACH_SHORT),
            _to_bridges("repeated", 0x88CC, "e", _REPEATED),
            _row("to-everyone", _plain(0x88CC, payload=_LLDP), "L02/own", _HOST),
        ),
    ),
    Attack(
        id="host-control-l2",
        title="Control protocols of the host's own links",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("CVE-2015-1142857",),
        variants=(
            _pause("pause", b"\0\x01\xff\xff" + bytes(42)),
            _pause("priority-pause", b"\x01\x01\0\xff" + bytes(42)),
            _to_bridges("lacp", 0x8809, "2", b"\x01\x01" + bytes(108)),
            _to_bridges("marker", 0x8809, "2", b"\x02\x01" + bytes(108)),
            _to_bridges("eapol", 0x888E, "3", b"\x02\x01" + bytes(44)),
            _to_bridges("ip-to-a-bridge-group", 0x0800, "0"),
            *(
                _to_everyone(name, kind)
                for name, kind in (
                    ("macsec", 0x88E5),
                    ("preauthentication", 0x88C7),
                    ("cfm", 0x8902),
                    ("loopback", 0x9000),
                    ("pause-to-everyone", 0x8808),
                )
            ),
        ),
    ),
    Attack(
        id="vendor-l2",
        title="Protocols of switches, storage and machines",
        group="G",
        guard=Guard.ETHERTYPE,
        variants=(
            _row("cdp", _snap_to(_VENDOR, 0x00000C, 0x2000), "L02/own"),
            _row("vtp", _snap_to(_VENDOR, 0x00000C, 0x2003), "L02/own"),
            _row("dtp", _snap_to(_VENDOR, 0x00000C, 0x2004), "L02/own"),
            _row("udld", _snap_to(_VENDOR, 0x00000C, 0x0111), "L02/own"),
            *(_row(name, _plain(kind), "L02/own") for name, kind in _VENDOR_TYPES),
        ),
    ),
    Attack(
        id="pppoe-mpls-nsh",
        title="IP inside PPPoE, MPLS and NSH",
        group="G",
        guard=Guard.ETHERTYPE,
        published=("CVE-2016-2074",),
        variants=(
            _row("pppoe-discovery", _plain(0x8863, payload=b"\x11\x09" + bytes(44))),
            _row("pppoe-session", _pppoe, _UDP),
            *(
                _row(f"mpls-{count}", _plain(0x8847, payload=_labels(count)), _UDP)
                for count in (1, 3, 4, 100)
            ),
            _row("nsh-short", _plain(0x894F, payload=bytes(4))),
        ),
    ),
    Attack(
        id="runt-jumbo",
        title="Frames too short and too long",
        group="G",
        guard=Guard.ETHERTYPE,
        variants=(
            _row("13-bytes", _cut(f.udp4, 13), _UDP, _HOST, Effect.UNSENT),
            _row("ipv4-without-payload", _cut(f.udp4, 14), _UDP),
            _row("ipv6-without-payload", _cut(f.udp6, 14), "L29/udp6"),
            _row("arp-without-payload", _cut(lambda c: f.arp(c, 1), 14), _ARP, _MAC),
            _row("padded-arp-noise", lambda c: f.arp(c, 1, trailer=b"\x5a" * 18), _ARP, _HARMLESS),
            _row(
                "9000-bytes",
                lambda c: f.udp4(c, data=bytes(8958)),
                _UDP,
                _HARMLESS,
                Effect.UNSENT,
            ),
        ),
        note="A frame longer than the MTU is refused by the device: no guard has to judge it.",
    ),
)
