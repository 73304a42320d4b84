"""What the command line says of a site."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from vifguard.cli.exit_codes import InputError
from vifguard.cli.options.audit_options import AuditOptions, site_of
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.site import Guest, Namespace
from vifguard.model.address import Mac

FULL = "mac=02:00:00:00:00:0a,ip=10.0.0.5/24,ip6=fd00::5/64"
OTHER = "mac=02:00:00:00:00:0b,ip=10.0.0.6,ip6=fd00::6,ll=fe80::6"
WORDS = AuditOptions(
    name="h",
    level="strict",
    posts={"attacker": f"a/eth0,{FULL}", "victim": f"eth1,{OTHER}", "third": None, "outside": None},
    command=None,
    nets=(),
    vips=(),
    vmacs=(),
    routed=(),
)


def test_what_is_written_is_the_site() -> None:
    site = site_of(WORDS)
    assert (site.name, site.level) == ("h", Kind.STRICT)
    assert site.attacker.reach == Namespace("a", "eth0")
    assert site.victim.reach == Namespace("", "eth1")
    assert site.attacker.mac == Mac.parse("02:00:00:00:00:0a")
    assert site.victim.ip4 == IPv4Address("10.0.0.6")
    assert site.victim.ll == IPv6Address("fe80::6")
    assert (site.attacker.ll, site.third, site.outside) == (None, None, None)
    assert site.net4 == IPv4Network("10.0.0.0/24")
    assert site.net6 == IPv6Network("fd00::/64")


def test_what_the_host_was_told_besides() -> None:
    site = site_of(
        replace(
            WORDS,
            nets=["10.0.0.0/16"],
            vips=["10.0.0.9", "fd00::9"],
            vmacs=["00:00:5E:00:01:33", "00:00:5e:00:02:34"],
            routed=["10.66.0.0/24"],
            others_vrid=61,
            level="router",
        )
    )
    assert (site.net4, site.net6) == (IPv4Network("10.0.0.0/16"), None)
    assert (site.vip4, site.vip6) == (IPv4Address("10.0.0.9"), IPv6Address("fd00::9"))
    assert (str(site.vmac4), str(site.vmac6)) == ("00:00:5e:00:01:33", "00:00:5e:00:02:34")
    assert (site.routed4, site.routed6) == (IPv4Network("10.66.0.0/24"), None)
    assert site.others_vrid == 61
    assert site.level is Kind.ROUTER


def test_an_address_that_the_host_does_not_permit_is_none() -> None:
    post = "a/eth0,mac=02:00:00:00:00:0a,ip=10.0.0.5/24,ip6=none"
    site = site_of(replace(WORDS, posts={**WORDS.posts, "attacker": post}))
    assert site.attacker.ip6 is None
    assert site.net6 is None


def test_guests_are_reached_over_a_command() -> None:
    posts = {**WORDS.posts, "victim": f"v/eth1,{OTHER}"}
    command = "ssh -p 22 'root@{}' python3 -"
    site = site_of(replace(WORDS, posts=posts, command=command))
    assert site.attacker.reach == Guest(("ssh", "-p", "22", "root@a", "python3", "-"), "eth0")
    assert site.victim.reach == Guest(("ssh", "-p", "22", "root@v", "python3", "-"), "eth1")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"level": "off"}, "strict, router, mac|--level 'off'"),
        ({"posts": {"attacker": None, "victim": None}}, "give --attacker"),
        ({"posts": {"attacker": f"a/eth0,{FULL}", "victim": None}}, "give --victim"),
        ({"posts": {"attacker": f"a/,{FULL}", "victim": f"b/eth0,{OTHER}"}}, "names no device"),
        ({"posts": {"attacker": f"a/eth0,{FULL},x=1", "victim": f"b/e,{OTHER}"}}, "'x=1' is none"),
        ({"posts": {"attacker": "a/eth0,mac=1,ip=none,ip6=none", "victim": f"b/e,{OTHER}"}}, "'1'"),
        ({"posts": {"attacker": f"a/e,{FULL},ip=::1", "victim": f"b/e,{OTHER}"}}, "wrong family"),
        ({"posts": {"attacker": f"a/e,{FULL},ip=10.0.0.5/33", "victim": f"b/e,{OTHER}"}}, "/33"),
        ({"command": "ssh {} python3"}, "python3 -"),
        ({"command": "ssh vm python3 -"}, "{}"),
        ({"command": ""}, "python3 -"),
        ({"command": "ssh 'vm python3 -"}, "quot"),
        ({"nets": ["10.0.0.0/24", "10.1.0.0/24"]}, "one of each family"),
        ({"nets": ["10.0.0.1/24"]}, "host bits"),
        ({"vips": ["ten"]}, "'ten'"),
        ({"vmacs": ["02:00:00:00:00:01"]}, "virtual MAC"),
    ],
)
def test_what_cannot_be_meant_is_named(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        site_of(replace(WORDS, **changed))
