"""One line for any frame, for drop records, reports and people.

Only addresses, numbers and fixed words are printed, never octets as characters: a line is
safe in a log and on a terminal, whatever a guest put into the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from vifguard.model.address import IPAddress
from vifguard.packet.arp import Arp
from vifguard.packet.dhcp import Dhcp4, Dhcp6
from vifguard.packet.frame import Frame, parse
from vifguard.packet.icmp6 import Icmp6, Mld, Nd
from vifguard.packet.igmp import Igmp
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import FRAGMENT, Fragment, IPv6
from vifguard.packet.link import RARP, Llc, Tag, Tagged
from vifguard.packet.transport import Icmp4, LaterFragment, Tcp, Udp
from vifguard.packet.undecoded import Opaque, Unreadable
from vifguard.packet.vrrp import Vrrp

_FLAGS = "FSRPAUEC"
_DHCP4 = ("discover", "offer", "request", "decline", "ack", "nak", "release", "inform")
_DHCP6 = (
    "solicit",
    "advertise",
    "request",
    "confirm",
    "renew",
    "rebind",
    "reply",
    "release",
    "decline",
    "reconfigure",
    "information-request",
    "relay-forward",
    "relay-reply",
)
_ICMP4 = {0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo", 11: "time exceeded"}
_ICMP6 = {
    1: "unreachable",
    2: "packet too big",
    3: "time exceeded",
    128: "echo",
    129: "echo reply",
    130: "MLD query",
    131: "MLD report",
    132: "MLD done",
    133: "router solicitation",
    134: "router advertisement",
    135: "neighbour solicitation",
    136: "neighbour advertisement",
    137: "redirect",
    143: "MLDv2 report",
}
_IGMP = {0x11: "query", 0x12: "v1 report", 0x16: "v2 report", 0x17: "leave", 0x22: "v3 report"}
_EXTENSIONS = {
    0: "hop-by-hop",
    43: "routing",
    44: "fragment",
    51: "AH",
    60: "destination options",
    135: "mobility",
    139: "HIP",
    140: "Shim6",
}
_GROUPS_SHOWN = 3
_LONGEST = 65_600
"""Octets of the longest frame that a guest can send."""


_UNREADABLE = "unreadable: "


def describe_cut(head: bytes, length: int) -> str:
    """As `describe`, of a frame of `length` octets of which the first are known."""
    # The frame goes on where its record ends; cut there, its own lengths would look wrong.
    frame = parse(head.ljust(min(length, _LONGEST), b"\0"))
    text, unreadable, why = describe(frame).partition(_UNREADABLE)
    if not unreadable or _is_seen_in(frame, len(head)):
        return text + unreadable + why
    return f"{text}cut at {len(head)} octets"


def _is_seen_in(frame: Frame, known: int) -> bool:
    """Whether an unreadable part of a frame is so by its first `known` octets."""
    part: object = frame.body
    while (inner := _inner(part)) is not None:
        part = inner
    if not isinstance(part, Unreadable):
        return known >= len(frame.octets)
    return len(frame.octets) - len(part.octets) + part.seen_in <= known


def _inner(part: object) -> object | None:
    """The layer within a layer; None within the innermost."""
    for field in ("body", "upper", "message"):
        inner: object = getattr(part, field, None)
        if inner is not None:
            return inner
    return None


def describe(frame: bytes | Frame, *, tag: Tag | None = None) -> str:
    """The frame in one line of printable ASCII; never raises."""
    seen = frame if isinstance(frame, Frame) else parse(frame, tag=tag)
    if seen.ethernet is None:
        return f"{len(seen.octets)} octets, {_of(seen.body)}"
    ethernet, body = seen.ethernet, seen.body
    return f"{ethernet.src} > {ethernet.dst} {_announced(seen.ethertype, body)}"


def _announced(ethertype: int, body: object) -> str:
    """The body, with its type in front where the body itself does not show it."""
    if isinstance(body, Opaque | Unreadable):
        return f"type 0x{ethertype:04x} {_of(body)}"
    return ("R" if ethertype == RARP else "") + _of(body)


@singledispatch
def _of(body: object) -> str:
    """A layer of a frame as text; what has no text of its own is named by its type."""
    return type(body).__name__


@_of.register
def _(body: Opaque) -> str:
    return f"{len(body.octets)} octets"


@_of.register
def _(body: Unreadable) -> str:
    return f"{_UNREADABLE}{body.why}"


@_of.register
def _(body: Tagged) -> str:
    tags = " ".join(f"tag 0x{tag.tpid:04x} vid {tag.vid}" for tag in body.tags)
    return f"{tags} {_announced(body.ethertype, body.body)}"


@_of.register
def _(body: Llc) -> str:
    if body.oui is None or body.pid is None:
        return f"LLC {body.dsap:02x} {body.ssap:02x} {body.control:02x} {_of(body.body)}"
    return f"SNAP {body.oui:06x} {_announced(body.pid, body.body)}"


@_of.register
def _(body: Arp) -> str:
    sender = f"{body.sender_ip} is {body.sender_mac}"
    if body.op == 1:
        return f"ARP who has {body.target_ip}, {sender}"
    target = f"to {body.target_ip} {body.target_mac}"
    return f"ARP {sender}, {target}" if body.op == 2 else f"ARP op {body.op} {sender}, {target}"


@_of.register
def _(body: IPv4) -> str:
    parts = ""
    if body.options:
        parts += " options"
    if body.is_fragment:
        parts += f" fragment {body.ident} at {body.offset * 8}" + "+" * body.more_fragments
    return f"IPv4 {body.src} > {body.dst}{parts} {_upper(body.protocol, body.upper)}"


@_of.register
def _(body: IPv6) -> str:
    parts = "".join(
        f" {_extension(extension.kind, body.fragment)}" for extension in body.extensions
    )
    return f"IPv6 {body.src} > {body.dst}{parts} {_upper(body.protocol, body.upper)}"


def _extension(kind: int, fragment: Fragment | None) -> str:
    if kind != FRAGMENT or fragment is None:
        return _EXTENSIONS[kind]
    return f"fragment {fragment.ident} at {fragment.offset * 8}" + "+" * fragment.more


def _upper(protocol: int, upper: object) -> str:
    known = not isinstance(upper, Opaque | Unreadable | LaterFragment)
    return _of(upper) if known else f"protocol {protocol} {_of(upper)}"


@_of.register
def _(upper: LaterFragment) -> str:
    return f"{len(upper.octets)} octets of a later fragment"


@_of.register
def _(upper: Udp) -> str:
    said = f"{len(upper.payload)} octets" if upper.message is None else _of(upper.message)
    return f"UDP {upper.sport} > {upper.dport} {said}"


@_of.register
def _(upper: Tcp) -> str:
    flags = "".join(name for bit, name in enumerate(_FLAGS) if upper.flags >> bit & 1)
    return f"TCP {upper.sport} > {upper.dport} [{flags}] {len(upper.payload)} octets"


@_of.register
def _(upper: Icmp4) -> str:
    return f"ICMP {_named(_ICMP4, upper.kind)} code {upper.code}"


@_of.register
def _(upper: Igmp) -> str:
    return f"IGMP {_named(_IGMP, upper.kind)}{_groups(upper.groups)}"


@_of.register
def _(upper: Vrrp) -> str:
    claims = f" {_UNREADABLE}{upper.broken}" if upper.broken else _groups(upper.addresses)
    return f"VRRP id {upper.router_id}{claims}"


@_of.register
def _(upper: Icmp6) -> str:
    name = f"ICMPv6 {_named(_ICMP6, upper.kind)}"
    code = f" code {upper.code}" if upper.code or upper.message is None else ""
    return name + code + ("" if upper.message is None else _of(upper.message))


@_of.register
def _(message: Nd) -> str:
    target = "" if message.target is None else f" {message.target}"
    if message.destination is not None:
        target += f" for {message.destination}"
    macs = "".join(f" is {option.mac}" for option in message.options if option.mac is not None)
    return target + macs + (f" {_UNREADABLE}{message.broken}" if message.broken else "")


@_of.register
def _(message: Mld) -> str:
    return _groups(message.groups)


@_of.register
def _(message: Dhcp4) -> str:
    kind = message.kind
    name = _DHCP4[kind - 1] if kind is not None and 1 <= kind <= len(_DHCP4) else f"type {kind}"
    addresses = "".join(
        f" {field} {value}"
        for field in ("ciaddr", "yiaddr", "giaddr")
        if int(value := getattr(message, field))
    )
    side = "" if message.op == 1 else f" op {message.op}"
    return f"DHCP {name}{side} for {message.chaddr}{addresses}"


@_of.register
def _(message: Dhcp6) -> str:
    known = 1 <= message.kind <= len(_DHCP6)
    return f"DHCPv6 {_DHCP6[message.kind - 1] if known else f'type {message.kind}'}"


def _groups(groups: Sequence[IPAddress]) -> str:
    more = " ..." if len(groups) > _GROUPS_SHOWN else ""
    return "".join(f" {group}" for group in groups[:_GROUPS_SHOWN]) + more


def _named(names: dict[int, str], number: int) -> str:
    return names.get(number) or f"type {number}"
