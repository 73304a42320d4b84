"""What a new group begins with, and when two rules mean the same."""

from ipaddress import ip_network

import pytest

from vifguard.model.security_group import (
    MEMBERS,
    DefaultRule,
    Rule,
    SecurityGroup,
    default_group,
)
from vifguard.model.verdict import Direction

FROM, TO = Direction


def test_a_default_rule_is_for_default_groups_or_others_or_both() -> None:
    group, default = SecurityGroup("g", "p"), SecurityGroup("d", "p", is_default=True)
    for in_default, in_others in ((True, False), (False, True), (True, True)):
        rule = DefaultRule("r", Rule(FROM, 4), in_default=in_default, in_others=in_others)
        assert (rule.begins(default), rule.begins(group)) == (in_default, in_others)


def test_the_members_of_a_default_rule_are_those_of_the_group_that_has_it() -> None:
    group = default_group("p")
    made = DefaultRule("r", Rule(TO, 4, remote=MEMBERS), "any").of(group)
    assert (made.group_id, made.project_id) == (group.id, "p")
    assert made.rule == Rule(TO, 4, remote=group.id)
    prefix = Rule(TO, 4, 6, remote=ip_network("10.0.0.0/8"))
    assert DefaultRule("r", prefix, "tcp").of(group).rule == prefix


def test_ids_of_default_groups_and_their_rules_follow_from_the_project() -> None:
    rule = DefaultRule("r", Rule(FROM, 4))
    one, same, other = (default_group(each) for each in ("p", "p", "q"))
    assert one == same
    assert rule.of(one).id == rule.of(same).id
    assert len({one.id, other.id, rule.of(one).id, rule.of(other).id}) == 4


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_a_prefix_of_every_address_is_no_remote(text: str) -> None:
    prefix = ip_network(text)
    assert Rule(TO, prefix.version, remote=prefix).canonical() == Rule(TO, prefix.version)


def test_any_other_remote_stays() -> None:
    for remote in (ip_network("10.0.0.0/8"), "set", None):
        rule = Rule(TO, 4, 0, remote=remote)
        assert rule.canonical() == rule
