"""Neighbour and listener discovery."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv6Address
from typing import Unpack

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Attack, Frame
from vifguard.lab.attacks.legal import ALL_MLD
from vifguard.lab.attacks.standards.row import ADDRESS, MAC, ND, attack, row
from vifguard.model.guard import Guard
from vifguard.packet import build

# Neighbour and listener discovery

_NA = "L11/unsolicited"
_LOOPBACK = IPv6Address("::1")
_ALERT_AND_MORE = build.router_alert6() + build.ip6_option(1, bytes(6))


def _advertising(*options: bytes) -> Frame:
    """An own address, with the sender's own MAC and these behind it."""
    return lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), *options)


ROWS: tuple[Attack, ...] = (
    attack(
        "x-nd-seventeen-options",
        "One option more than is read, the last with another's MAC",
        "4861",
        Guard.MAC,
        row(
            "last-is-the-victims",
            lambda c: f.na(c, c.a.ip6, *(build.nd_option(253),) * 16, f.tlla(c.v.mac)),
            MAC,
            _NA,
        ),
        row("all-unknown", lambda c: f.na(c, c.a.ip6, *(build.nd_option(253),) * 17), MAC, _NA),
    ),
    attack(
        "x-nd-rest-of-an-option",
        "One to seven octets behind the last option",
        "4861",
        Guard.MAC,
        *(row(f"{n}", _advertising(b"\x02\x01" + bytes(n - 2)), MAC, _NA) for n in (3, 7)),
        row("1", _advertising(b"\x02"), MAC, _NA),
    ),
    attack(
        "x-nd-two-addresses",
        "The sender's own MAC in the first option, another's in the second",
        "4861",
        Guard.MAC,
        row("target", lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), f.tlla(c.v.mac)), MAC, _NA),
        row(
            "source-in-an-advertisement",
            lambda c: f.na(c, c.a.ip6, f.tlla(c.a.mac), f.slla(c.v.mac)),
            MAC,
            _NA,
        ),
    ),
    attack(
        "x-nd-targets-that-are-nobodys",
        "Advertisements of a group and of the unspecified address",
        "4861",
        Guard.ND,
        row("multicast", lambda c: f.own_na(c, f.ALL_NODES), ND, _NA),
        row("unspecified", lambda c: f.own_na(c, f.ZERO_6), ND, _NA),
        row("loopback", lambda c: f.own_na(c, _LOOPBACK), ND, _NA),
    ),
    attack(
        "x-mld-of-another",
        "A listener report from another's link-local address",
        "9777",
        Guard.IP,
        row("v2", lambda c: _report(c, src=c.v.ll), ADDRESS, "L14/v2-link-local"),
    ),
    attack(
        "x-mld-from-nobody",
        "Reports from :: outside their one legal shape",
        "9777, 4861",
        Guard.IP,
        row(
            "hop-limit-64",
            lambda c: _report(c, src=f.ZERO_6, hop=64),
            ADDRESS,
            "L14/v2-unspecified",
        ),
        row(
            "no-router-alert",
            lambda c: _report(c, src=f.ZERO_6, chain=()),
            ADDRESS,
            "L14/v2-unspecified",
        ),
        row(
            "options-of-two-units",
            lambda c: _report(
                c, src=f.ZERO_6, chain=(partial(build.hop_by_hop, options=_ALERT_AND_MORE),)
            ),
            ADDRESS,
            "L14/v2-unspecified",
        ),
        row(
            "unicast",
            lambda c: _report(c, src=f.ZERO_6, dst=c.p.ip6),
            ADDRESS,
            "L14/v2-unspecified",
        ),
    ),
)


def _report(c: Actors, **fields: Unpack[f.Ip6]) -> bytes:
    """An MLDv2 report of the solicited-node group, whole but for `fields`."""
    whole: f.Ip6 = {"dst": ALL_MLD, "hop": 1, "chain": (f.router_alert,)}
    whole.update(fields)
    return f.ip6(c, build.mldv2_report(f.solicited_node(c.a.ip6)), **whole)
