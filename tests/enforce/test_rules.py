"""What groups mean in the kernel's maps, without a kernel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vifguard.enforce.ebpf.maps import rules
from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.enforce.ebpf.maps.security_group_maps import GroupElements
from vifguard.model.address import parse_network
from vifguard.model.security_group import IcmpType, PortRange, Rule
from vifguard.model.verdict import Direction

MINE, ANOTHERS = Digests(b"mine"), Digests(b"another's")
IN, OUT = Direction.TO_GUEST, Direction.FROM_GUEST


def remote(text: str) -> Rule:
    return Rule(IN, 6 if ":" in text else 4, remote=parse_network(text))


def group_of(*said: Rule, name: str = "g") -> GroupElements:
    group = GroupElements(MINE, name)
    group.change(frozenset(said))
    return group


def allowed(*said: Rule) -> set[bytes]:
    return {key for name, key in group_of(*said).elements() if name == "allowed"}


@pytest.mark.parametrize(
    ("low", "high", "elements"),
    [(0, 0, 1), (0, 65535, 1), (1, 65535, 16), (1, 65534, 30), (80, 81, 1), (81, 82, 2)],
)
def test_a_range_of_ports_is_few_prefixes(low, high, elements):
    assert len(allowed(Rule(IN, 4, 6, ports=PortRange(low, high)))) == elements


def test_no_two_rules_are_one_element():
    said = (
        Rule(IN, 4),
        Rule(OUT, 4),
        Rule(IN, 6),
        Rule(IN, 4, 0),
        Rule(IN, 4, 6, ports=PortRange(0, 0)),
        Rule(IN, 4, 6),
        Rule(IN, 4, 1, icmp=IcmpType(0)),
        Rule(IN, 4, 1, icmp=IcmpType(0, 0)),
        Rule(IN, 4, remote="g"),
        remote("10.0.0.0/8"),
        remote("10.0.0.0/9"),
    )
    assert len(allowed(*said)) == len(said)


def test_anywhere_has_one_meaning():
    assert group_of(remote("0.0.0.0/0")).elements() == group_of(Rule(IN, 4)).elements()


def test_an_id_is_not_in_the_elements():
    named = "a-tenants-own-words"
    for (_, key), value in group_of(Rule(IN, 4, remote=named), name=named).elements().items():
        assert named.encode()[:8] not in key + value


def test_questions_count_nested_prefixes_and_sets_and_not_how_many_rules_there_are():
    flat = [remote(f"10.0.{i}.0/24") for i in range(200)]
    assert group_of(*flat).max_lookups == 1 + 2
    assert group_of(*flat, remote("10.0.0.0/8"), remote("10.0.7.7/32")).max_lookups == 3 + 2
    named = [Rule(OUT, 6, remote=str(i)) for i in range(5)]
    assert group_of(*flat, *named).max_lookups == 1 + 5 + 2


def test_too_many_sets_are_refused_and_not_cut_short():
    named = [Rule(IN, 4, remote=str(i)) for i in range(33)]
    group = group_of(*named)
    assert "refer to 33 address sets" in group.why_not
    assert group.elements() == {}
    assert group_of(*named[1:]).why_not == ""


ports = st.builds(
    lambda low, more: PortRange(low, low + more), st.integers(1, 3), st.integers(0, 3)
)
some_rules = st.frozensets(
    st.one_of(
        st.builds(Rule, st.sampled_from((IN, OUT)), st.just(4), st.just(6), ports),
        st.builds(remote, st.sampled_from(("10.0.0.0/8", "10.0.0.0/9", "0.0.0.0/0"))),
        st.builds(Rule, st.just(IN), st.just(4), remote=st.integers(0, 40).map(str)),
    ),
    max_size=60,
)


@given(st.lists(some_rules, max_size=5))
def test_step_by_step_is_the_same_as_at_once(story):
    """Two rules may need one element, and what cannot be held comes and goes."""
    group, there = GroupElements(MINE, "g"), {}
    for said in story:
        before, after = group.change(said)
        assert before.items() <= there.items()
        there = {each: value for each, value in there.items() if each not in before} | after
        at_once = group_of(*said)
        assert there == group.elements() == at_once.elements()
        assert (group.max_lookups, set(group.named)) == (at_once.max_lookups, set(at_once.named))


def test_a_set_knows_its_own_elements():
    prefixes = [parse_network(p) for p in ("10.0.0.1/32", "10.0.0.0/8", "fd00::1/128", "::/0")]
    mine = list(rules.members_of(MINE, "a", prefixes))
    assert len(set(mine)) == len(prefixes)
    assert all(rules.is_of_set(MINE, each, "a") for each in mine)
    assert not any(rules.is_of_set(MINE, each, "b") for each in mine)


@given(some_rules)
def test_another_hosts_elements_are_named_otherwise(said):
    """Whoever chooses remotes cannot search for two classes of one digest without the key."""
    mine, anothers = GroupElements(MINE, "g"), GroupElements(ANOTHERS, "g")
    for group in (mine, anothers):
        group.change(said)
    assert not mine.elements().keys() & anothers.elements().keys()
