"""What a new group begins with, and when two rules mean the same."""

from ipaddress import ip_network

import pytest

from vifguard.model.security_group import MEMBERS, DefaultRule, Rule, SecurityGroup
from vifguard.model.verdict import Direction

FROM, TO = Direction


def test_a_default_rule_is_for_default_groups_or_others_or_both() -> None:
    group, default = SecurityGroup("g", "p"), SecurityGroup("d", "p", is_default=True)
    for in_default, in_others in ((True, False), (False, True), (True, True)):
        rule = DefaultRule("r", Rule(FROM, 4), in_default=in_default, in_others=in_others)
        assert (rule.begins(default), rule.begins(group)) == (in_default, in_others)


def test_the_members_of_a_default_rule_are_those_of_the_group_that_has_it() -> None:
    group = SecurityGroup("g", "p")
    made = DefaultRule("r", Rule(TO, 4, remote=MEMBERS), "any").of(group, "new")
    assert (made.id, made.group_id, made.project_id) == ("new", "g", "p")
    assert made.rule == Rule(TO, 4, remote="g")
    prefix = Rule(TO, 4, 6, remote=ip_network("10.0.0.0/8"))
    assert DefaultRule("r", prefix, "tcp").of(group, "new").rule == prefix


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_a_prefix_of_every_address_is_no_remote(text: str) -> None:
    prefix = ip_network(text)
    assert Rule(TO, prefix.version, remote=prefix).canonical() == Rule(TO, prefix.version)


def test_any_other_remote_stays() -> None:
    for remote in (ip_network("10.0.0.0/8"), "set", None):
        rule = Rule(TO, 4, 0, remote=remote)
        assert rule.canonical() == rule
