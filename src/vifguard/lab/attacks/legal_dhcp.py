"""Section K: DHCP of both families as clients speak it."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Attack
from vifguard.lab.attacks.legal_row import legal, row
from vifguard.packet import build


def _requested(c: Actors) -> bytes:
    return build.dhcp_option(50, c.a.ip4.packed)


def _about_address(message: int, c: Actors) -> bytes:
    return f.dhcp6_about(c, message, f.association(c.v.ip6))


ROWS: tuple[Attack, ...] = (
    row(
        "L06",
        "DHCPDISCOVER, first REQUEST, DECLINE",
        legal("discover", lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER))),
        legal(
            "discover-broadcast-flag",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER, flags=0x8000)),
        ),
        legal(
            "first-request",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.REQUEST, _requested(c))),
        ),
        legal(
            "request-with-own-identifier",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.REQUEST, f.identifier(c.a.mac))),
        ),
        legal(
            "request-with-another-kind-of-identifier",
            lambda c: f.dhcp_client(
                c, f.dhcp(c, f.REQUEST, build.dhcp_option(61, b"\xff" + c.v.mac.octets))
            ),
        ),
        legal("decline", lambda c: f.dhcp_client(c, f.dhcp(c, f.DECLINE, _requested(c)))),
        legal(
            "request-of-another-address",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.REQUEST, build.dhcp_option(50, c.v.ip4.packed))),
        ),
        legal(
            "padded-with-tos",
            lambda c: f.dhcp_client(c, f.dhcp(c, f.DISCOVER) + bytes(60), tos=0x10, ttl=128),
        ),
    ),
    row(
        "L07",
        "DHCP renew, rebind, release, inform",
        legal("renew", lambda c: _own_dhcp(c, f.REQUEST)),
        legal("rebind", lambda c: _own_dhcp(c, f.REQUEST, f.BROADCAST_4)),
        legal("release", lambda c: _own_dhcp(c, f.RELEASE)),
        legal("inform", lambda c: _own_dhcp(c, f.INFORM, f.BROADCAST_4)),
    ),
    row(
        "L08",
        "DHCPv6 client",
        legal("solicit", lambda c: f.dhcp6_client(c, f.SOLICIT)),
        legal("request", lambda c: f.dhcp6_client(c, f.REQUEST_6)),
        legal("renew", lambda c: f.dhcp6_client(c, f.RENEW)),
        legal("information-request", lambda c: f.dhcp6_client(c, f.INFORMATION)),
        *(
            legal(name, partial(_about_address, message))
            for name, message in (
                ("confirm-what-one-had-elsewhere", f.CONFIRM),
                ("renew-what-one-had", f.RENEW),
                ("rebind-what-one-had", f.REBIND),
            )
        ),
        legal("release", lambda c: f.dhcp6_about(c, f.RELEASE_6, f.association(c.a.ip6))),
        legal(
            "release-of-a-prefix",
            lambda c: f.dhcp6_about(
                c, f.RELEASE_6, f.association(c.routed6.network_address, f.IA_PD)
            ),
        ),
        legal("decline", lambda c: f.dhcp6_about(c, f.DECLINE_6, f.association(c.a.ip6))),
        legal(
            "registration",
            lambda c: f.dhcp6_about(c, f.REGISTRATION, f.iaaddr(c.a.ip6), src=c.a.ip6),
        ),
        legal("unicast", lambda c: f.dhcp6_client(c, f.RENEW, src=c.a.ip6, dst=c.p.ip6)),
    ),
)


def _own_dhcp(c: Actors, message: int, dst: IPv4Address | None = None) -> bytes:
    body = f.dhcp(c, message, ciaddr=c.a.ip4)
    return f.dhcp_client(c, body, src=c.a.ip4, dst=dst or c.p.ip4)
