"""What groups and sets say, folded from updates and told to the driver."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vifguard.agent.ruleset import RulesetTracker
from vifguard.enforce.driver.protocol import RulesetChange
from vifguard.feed.messages import Update
from vifguard.model.address import IPNetwork, parse_network
from vifguard.model.security_group import Rule, SetChange
from vifguard.model.verdict import Direction

GROUPS, SETS = ("g", "h"), ("s", "t")
PREFIXES = [parse_network(f"10.0.0.{i}/32") for i in range(4)]
some = st.frozensets(st.sampled_from(PREFIXES))
rules = st.frozensets(
    st.builds(
        Rule,
        st.just(Direction.TO_GUEST),
        st.just(4),
        remote=st.sampled_from((None, *SETS, *GROUPS)),
    ),
    min_size=1,
)


@st.composite
def changes(draw: st.DrawFn) -> SetChange:
    added = draw(some)
    if draw(st.booleans()):
        return SetChange(complete=True, added=added)
    return SetChange(complete=False, added=added, removed=draw(some) - added)


updates = st.builds(
    Update,
    st.just(1),
    st.booleans(),
    st.just(()),
    groups=st.dictionaries(st.sampled_from(GROUPS), rules),
    sets=st.dictionaries(st.sampled_from(SETS), changes()),
)


class Told:
    """A driver that believes what it is told."""

    def __init__(self) -> None:
        self.rules: dict[str, frozenset[Rule]] = {}
        self.sets: dict[str, frozenset[IPNetwork]] = {}

    def hold(self, change: RulesetChange) -> None:
        if change.complete:
            self.rules, self.sets = {}, {}
        self.rules |= change.groups
        for name, said in change.sets.items():
            known = frozenset() if said.complete else self.sets.get(name, frozenset())
            self.sets[name] = (known - said.removed) | said.added

    def says(self) -> tuple[dict[str, frozenset[Rule]], dict[str, frozenset[IPNetwork]]]:
        return (
            {name: said for name, said in self.rules.items() if said},
            {name: said for name, said in self.sets.items() if said},
        )


@given(st.lists(st.tuples(updates, st.sampled_from([(), ("g",), GROUPS]), st.booleans())))
def test_whoever_is_told_now_and_then_knows_the_same(story):
    ruleset, told, late = RulesetTracker(), Told(), Told()
    for update, kept, tells in story:
        ruleset.take(update)
        ruleset.keep(kept)
        if tells and (change := ruleset.pending()):
            told.hold(change)
            ruleset.mark_applied()
    if change := ruleset.pending():
        told.hold(change)
        ruleset.mark_applied()
    assert ruleset.pending() is None
    ruleset.mark_all_pending()
    again = ruleset.pending()
    assert again is not None
    late.hold(again)
    assert told.says() == late.says()


def test_what_nobody_refers_to_is_forgotten():
    ruleset = RulesetTracker()
    named = frozenset({Rule(Direction.TO_GUEST, 4, remote="s")})
    whole = SetChange(complete=True, added=frozenset(PREFIXES))
    ruleset.take(
        Update(
            1,
            complete=True,
            ports=(),
            groups={"g": named, "h": named},
            sets={"s": whole, "t": whole},
        )
    )
    ruleset.keep(("g",))
    assert (ruleset.rules.keys(), ruleset.sets.keys()) == ({"g"}, {"s"})
    ruleset.keep(())
    assert (ruleset.rules, ruleset.sets) == ({}, {})


def test_one_member_is_one_step():
    ruleset = RulesetTracker()
    everyone = frozenset(parse_network(f"10.{i}.{j}.1/32") for i in range(40) for j in range(250))
    named = frozenset({Rule(Direction.TO_GUEST, 4, remote="s")})
    whole = SetChange(complete=True, added=everyone)
    ruleset.take(Update(1, complete=True, ports=(), groups={"g": named}, sets={"s": whole}))
    ruleset.mark_applied()
    more = SetChange(complete=False, added=frozenset(PREFIXES[:1]))
    ruleset.take(Update(2, complete=False, ports=(), sets={"s": more}))
    assert ruleset.pending() == RulesetChange(complete=False, groups={}, sets={"s": more})
