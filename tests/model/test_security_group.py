"""What a new group allows, and when two rules mean the same."""

from ipaddress import ip_network

import pytest

from vifguard.model.security_group import Rule, SecurityGroup, default_rules
from vifguard.model.verdict import Direction

FROM, TO = Direction


def test_a_new_group_lets_its_members_open_anything() -> None:
    assert set(default_rules(SecurityGroup("g", "p"))) == {Rule(FROM, 4), Rule(FROM, 6)}


def test_members_of_the_default_group_may_also_open_to_each_other() -> None:
    rules = set(default_rules(SecurityGroup("g", "p", is_default=True)))
    assert rules == {Rule(way, v, remote=r) for way, r in ((FROM, None), (TO, "g")) for v in (4, 6)}


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_a_prefix_of_every_address_is_no_remote(text: str) -> None:
    prefix = ip_network(text)
    assert Rule(TO, prefix.version, remote=prefix).canonical() == Rule(TO, prefix.version)


def test_any_other_remote_stays() -> None:
    for remote in (ip_network("10.0.0.0/8"), "set", None):
        rule = Rule(TO, 4, 0, remote=remote)
        assert rule.canonical() == rule
