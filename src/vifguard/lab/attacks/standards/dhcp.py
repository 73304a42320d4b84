"""DHCPv4 and DHCPv6 clients."""

from __future__ import annotations

from typing import Any

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Attack, Frame
from vifguard.lab.attacks.standards.row import DHCP, UNREADABLE_4, attack, row
from vifguard.model.guard import Guard
from vifguard.packet import build

# DHCP

_DISCOVER = "L06/discover"
_REQUEST = "L06/request-with-own-identifier"


def _asking(**fields: Any) -> Frame:
    """A client's first question, with these fields."""
    return lambda c: f.dhcp_client(c, build.dhcpv4(c.a.mac, f.DISCOVER, **fields))


def _saying(*options: bytes) -> Frame:
    return lambda c: f.dhcp_client(c, build.dhcpv4(c.a.mac, f.DISCOVER, *options))


def _solicit(message: bytes, sport: int = 546) -> Frame:
    return lambda c: f.udp6(c, sport, 547, message, src=c.a.ll, dst=f.DHCP6_SERVERS)


def _identified(message: int) -> Frame:
    """An own message, about an own address, with the victim's MAC as client identifier."""

    def frame(c: Actors) -> bytes:
        requested = build.dhcp_option(50, c.a.ip4.packed)
        return f.dhcp_client(c, f.dhcp(c, message, requested, f.identifier(c.v.mac)))

    return frame


def _identified_in_parts(c: Actors) -> bytes:
    """The identifier in two options, which a server puts together (RFC 3396)."""
    parts = build.dhcp_option(61, b"\x01"), build.dhcp_option(61, c.v.mac.octets)
    return f.dhcp_client(c, f.dhcp(c, f.REQUEST, *parts))


ROWS: tuple[Attack, ...] = (
    attack(
        "x-dhcp-hardware-fields",
        "Hardware types and lengths other than Ethernet's",
        "2131",
        Guard.DHCP,
        *(row(f"type-{n}", _asking(htype=n), DHCP, _DISCOVER) for n in (0, 6, 255)),
        *(row(f"length-{n}", _asking(hlen=n), DHCP, _DISCOVER) for n in (0, 5, 7, 16, 255)),
    ),
    attack(
        "x-dhcp-operations",
        "Operations other than a question",
        "2131",
        Guard.DHCP,
        *(row(f"{n}", _asking(op=n), DHCP, _DISCOVER) for n in (0, 2, 3, 255)),
    ),
    attack(
        "x-dhcp-without-its-cookie",
        "BOOTP without DHCP's magic, and messages that end before it",
        "2131, 951",
        Guard.DHCP,
        row("wrong", _asking(magic=bytes(4)), DHCP, _DISCOVER),
        row("missing", _asking(magic=b"", tail=b""), DHCP, _DISCOVER),
        row(
            "empty",
            lambda c: f.dhcp_client(c, b""),
            DHCP,
            _DISCOVER,
        ),
    ),
    attack(
        "x-dhcp-option-lengths",
        "Options that run past the packet",
        "2132",
        Guard.DHCP,
        row("past-the-end", _asking(tail=b"\x35\x01\x01\x0c\xff"), DHCP, _DISCOVER),
        row("no-length-octet", _asking(tail=b"\x35\x01\x01\x0c"), DHCP, _DISCOVER),
    ),
    attack(
        "x-dhcp-too-many-options",
        "More options than are read, a relay's behind them",
        "2132, 3046",
        Guard.DHCP,
        row("padding", _asking(tail=bytes(80) + b"\x52\x02\x01\x00\xff"), DHCP, _DISCOVER),
        row("options", _saying(*(build.dhcp_option(12, b"x"),) * 70), DHCP, _DISCOVER),
    ),
    attack(
        "x-dhcp-relay-behind-padding",
        "A relay's option behind padding",
        "3046",
        Guard.DHCP,
        row(
            "padded",
            _asking(tail=b"\x35\x01\x01" + bytes(20) + b"\x52\x02\x01\x00\xff"),
            DHCP,
            _DISCOVER,
        ),
    ),
    attack(
        "x-dhcp-client-identifier",
        "The victim's lease, by its client identifier",
        "2132, 3396",
        Guard.DHCP,
        row("request", _identified(f.REQUEST), DHCP, _REQUEST),
        row("discover", _identified(f.DISCOVER), DHCP, _DISCOVER),
        row("release", _identified(f.RELEASE), DHCP, "L07/release"),
        row("in-two-parts", _identified_in_parts, DHCP, _REQUEST),
    ),
    attack(
        "x-dhcp-in-a-first-fragment",
        "A client's message of which only the beginning is here",
        "2131",
        Guard.DHCP,
        row(
            "from-nobody",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER), more=True),
            UNREADABLE_4,
            _DISCOVER,
        ),
        row(
            "from-ones-own",
            lambda c: f.dhcp_client(
                c, f.dhcp(c, f.REQUEST, ciaddr=c.a.ip4), src=c.a.ip4, dst=c.p.ip4, more=True
            ),
            DHCP,
            "L07/renew",
        ),
    ),
    attack(
        "x-dhcp6-message-types",
        "Messages of servers and relays, and those that nobody defined, from a client's port",
        "8415",
        Guard.DHCP,
        *(
            row(f"{n}", _solicit(bytes((n,)) + bytes(23)), DHCP, "L08/solicit")
            for n in (0, 2, 7, 10, 12, 13, 14, 20, 21, 35, 37, 255)
        ),
    ),
    attack(
        "x-dhcp6-cut-short",
        "Messages shorter than a type and a transaction",
        "8415",
        Guard.DHCP,
        *(row(f"{n}-octets", _solicit(b"\x01\0\0"[:n]), DHCP, "L08/solicit") for n in (0, 1, 3)),
    ),
    attack(
        "x-dhcp6-from-another-port",
        "Questions to servers from ports that are no client's",
        "8415",
        Guard.DHCP,
        *(
            row(f"{n}", _solicit(bytes((1,)) + bytes(23), n), DHCP, "L08/solicit")
            for n in (0, 545, 548, 4000)
        ),
    ),
)
