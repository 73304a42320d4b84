"""What must hold of the reference over whole conversations, whatever they are."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from tests.triangle.sequences.actor import Actor, walk
from tests.triangle.sequences.host import FROM, TO
from tests.triangle.sequences.stage import FIRST, Stage
from tests.triangle.sequences.steps import Held, Passed, Renewed, Sent, Step
from tests.triangle.sequences.subject import Reference, Said

from vifguard.model.guard import Guard
from vifguard.model.security_group import Rule, Ruleset
from vifguard.model.verdict import Reason
from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.packet.transport import Tcp, Udp
from vifguard.semantics.flow import TICK
from vifguard.semantics.tcp import ACK, RST, SYN

ACTIONS = 200


@pytest.fixture(params=range(8))
def steps(request: pytest.FixtureRequest) -> list[Step]:
    stage = Stage(Reference())
    walk(Actor(stage, Random(request.param)), ACTIONS)
    return stage.steps


def judged(steps: Iterable[Step], now: int = FIRST) -> list[tuple[Sent, Said]]:
    """Each frame, and what the reference says of it."""
    reference, said = Reference(), []
    reference.begin(now)
    for step in steps:
        if isinstance(step, Held):
            reference.hold(step)
        elif isinstance(step, Passed):
            now += step.nanoseconds
            reference.set_clock(now)
        elif isinstance(step, Renewed):
            reference.renew(step.port, now + step.nanoseconds)
        else:
            said.append((step, reference.judge(step.port, step.direction, step.frame)))
    return said


def altered(steps: Iterable[Step], change) -> list[Step]:
    """The steps with `change` made to everything that is held."""
    return [change(step) if isinstance(step, Held) else step for step in steps]


def test_no_port_learns_from_what_another_one_sees(steps) -> None:
    whole = judged(steps)
    for port in range(4):
        alone = [step for step in steps if getattr(step, "port", port) == port]
        assert judged(alone) == [each for each in whole if each[0].port == port]


@pytest.mark.parametrize("later", [TICK, 1 << 52, 1 << 60])
def test_it_does_not_matter_when_it_begins(steps, later) -> None:
    assert judged(steps, FIRST + later) == judged(steps)


def test_without_connections_a_rule_more_passes_no_packet_less(steps) -> None:
    def stateless(held: Held) -> Held:
        policies = (replace(policy, stateful=False) for policy in held.policies)
        return Held(tuple(policies), held.book)

    def with_more(held: Held) -> Held:
        more = {Rule(TO, 4, 6), Rule(FROM, 6, 17)}
        rules = {name: rules | more for name, rules in held.book.rules.items()}
        return Held(held.policies, Ruleset(rules, held.book.sets))

    few = altered(steps, stateless)
    for (sent, before), (_, after) in zip(
        judged(few), judged(altered(few, with_more)), strict=True
    ):
        assert before is not None or after is None, sent


@pytest.mark.parametrize("new", [False, True])
def test_where_nothing_may_be_opened_from_outside_only_answers_come_in(steps, new) -> None:
    """A guard that is new lets in what may be of a connection that it does not know: no SYN."""

    def closed(held: Held) -> Held:
        outwards = {
            name: frozenset(rule for rule in rules if rule.direction is FROM)
            for name, rules in held.book.rules.items()
        }
        policies = (
            replace(policy, stateful=True, guards=policy.guards | {Guard.SECURITY_GROUPS})
            for policy in held.policies
        )
        return Held(tuple(policies), Ruleset(outwards, held.book.sets))

    asked: set[object] = set()
    came = 0
    steps = [step for step in steps if new or not isinstance(step, Renewed)]
    for sent, said in judged(altered(steps, closed)):
        packet = parse(sent.frame).body
        if said is not None or not isinstance(packet, IPv4 | IPv6):
            continue
        upper = packet.upper
        if not isinstance(upper, Tcp | Udp) or {upper.sport, upper.dport} & {67, 68, 546, 547}:
            continue
        ends = (sent.port, packet.protocol)
        if sent.direction is FROM:
            asked.add((*ends, packet.src, upper.sport, packet.dst, upper.dport))
        else:
            came += 1
            if new and isinstance(upper, Tcp) and upper.flags & (SYN | RST | ACK) != SYN:
                continue
            assert (*ends, packet.dst, upper.dport, packet.src, upper.sport) in asked
    assert came


def test_the_guard_has_the_last_word(steps) -> None:
    """What another guard drops is dropped for the same reason with security groups and without."""

    def without(held: Held) -> Held:
        policies = (replace(p, guards=p.guards - {Guard.SECURITY_GROUPS}) for p in held.policies)
        return Held(tuple(policies), held.book)

    reasons = {*range(Reason.NOT_ALLOWED, Reason.FLOW_TABLE_FULL + 1)}
    for (sent, guarded), (_, bare) in zip(
        judged(steps), judged(altered(steps, without)), strict=True
    ):
        if bare is not None:
            assert guarded == bare, sent
        elif guarded is not None:
            assert guarded[0] is Guard.SECURITY_GROUPS, sent
            assert guarded[1] in reasons | {Reason.HEADERS_UNREADABLE, Reason.IPV6_MALFORMED}
