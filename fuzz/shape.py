"""The shape of a frame: all that a guard could distinguish, without addresses and numbers."""

from __future__ import annotations

from vifguard.model.verdict import Reason
from vifguard.packet.arp import Arp
from vifguard.packet.dhcp import Dhcp4, Dhcp6
from vifguard.packet.frame import Frame
from vifguard.packet.icmp6 import Icmp6, Nd
from vifguard.packet.igmp import Igmp
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.link import Llc, Tagged
from vifguard.packet.transport import Icmp4, Udp
from vifguard.packet.undecoded import Unreadable

_NO_DIGITS = str.maketrans("", "", "0123456789")
_PORTS = {67: "server", 68: "client", 546: "client", 547: "server"}
_EXTENSIONS = frozenset({0, 43, 44, 51})
_OPTIONS_4 = frozenset({1, 131, 137})
_OPTIONS_6 = frozenset({1, 2})
_ICMP_6 = frozenset({130, 131, 132, 133, 134, 135, 136, 137, 143})
_ICMP_4 = frozenset({5})
_HOPS = frozenset({1, 255})
_SHORT = 60
_IGMP = frozenset({0x11, 0x12, 0x16, 0x17, 0x22})


def behaviours(frame: Frame, reason: Reason | None) -> frozenset[object]:
    """The behaviours that a frame and its verdict show, in parts that others may share.

    Parts, not their product: else nearly every frame would be a kind of its own.
    """
    body = frame.body
    inside, around = _inside(body), _around(body)
    shown = {(part, reason) for part in around}
    return frozenset({*shown, (inside, reason), (inside, around[0]), len(frame.octets) > _SHORT})


def _around(body: object) -> tuple[object, ...]:
    """Of the headers below the upper layer: first whether it is a fragment, then the others."""
    if isinstance(body, IPv4):
        options = body.options
        kinds: object = ""
        if isinstance(options, Unreadable):
            kinds = _why(options)
        elif options:
            kinds = _OPTIONS_4.intersection(option.kind for option in options)
        place = 4, body.more_fragments, body.offset > 0
        return place, (4, kinds), (4, body.ttl in _HOPS)
    if isinstance(body, IPv6):
        kinds6 = _EXTENSIONS.intersection(extension.kind for extension in body.extensions)
        fragment = body.fragment
        place6 = 6, fragment and (fragment.offset > 0, fragment.more)
        return place6, (6, kinds6), (6, _some(len(body.extensions))), (6, body.hop_limit in _HOPS)
    return (type(body),)


def _inside(body: object) -> object:
    """The upper layer, or the frame's content other than IP."""
    if isinstance(body, IPv4 | IPv6):
        return type(body), _upper(body.upper)
    if isinstance(body, Arp):
        return min(body.op, 5), body.sender_mac == body.target_mac, int(body.sender_ip) == 0
    if isinstance(body, Tagged):
        return _some(len(body.tags)), type(body.body)
    if isinstance(body, Llc):
        return type(body.body)
    return _why(body) if isinstance(body, Unreadable) else None


def _upper(upper: object) -> object:
    if isinstance(upper, Udp):
        return _PORTS.get(upper.sport), _PORTS.get(upper.dport), _message(upper.message)
    if isinstance(upper, Icmp6):
        return upper.kind in _ICMP_6 and upper.kind, _message(upper.message)
    if isinstance(upper, Icmp4):
        return "icmp", upper.kind in _ICMP_4
    if isinstance(upper, Igmp):
        return "igmp", upper.kind in _IGMP and upper.kind
    return _why(upper) if isinstance(upper, Unreadable) else type(upper)


def _message(message: object) -> object:
    if isinstance(message, Nd):
        kinds = _OPTIONS_6.intersection(option.kind for option in message.options)
        return kinds, _some(len(message.options)), message.broken.translate(_NO_DIGITS)
    if isinstance(message, Dhcp4):
        fields = (message.op == 1, message.htype == 1, message.hlen == 6, not int(message.giaddr))
        return (*fields, False).index(False), message.broken
    if isinstance(message, Dhcp6):
        return min(message.kind, 14), message.broken
    return _why(message) if isinstance(message, Unreadable) else type(message)


def _why(body: Unreadable) -> str:
    return body.why.translate(_NO_DIGITS)


def _some(number: int) -> int:
    """None, one, a few, and whether it is at or above the limits of eight and sixteen."""
    return max(border for border in (0, 1, 2, 8, 9, 16, 17) if border <= number)
