"""A port's groups may ask a bounded number of questions: what is held is asked to the last one."""

from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.triangle.decider import Decider
from tests.triangle.sequences import host
from tests.triangle.sequences.host import STATIONS, TO
from tests.triangle.sequences.program import Program, RefusedError
from tests.triangle.sequences.stage import Stage
from tests.triangle.sequences.steps import Held, Sent
from tests.triangle.sequences.subject import Reference

from vifguard.model.security_group import PortRange, Rule, Ruleset
from vifguard.packet import build

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("unknown", [0, 1, 3, 5, 13])
@pytest.mark.parametrize("sizes", [((8, 16), (8, 16), (8, 2)), ((8, 32), (8, 12)), ((8, 3),) * 4])
def test_what_is_held_is_asked_to_the_last_question(program: Program, unknown, sizes) -> None:
    """Only the last set of the last group allows it; too many questions are refused, or asked."""
    sets = {f"set {number}": frozenset({ip_network("10.64.0.0/32")}) for number in range(32)}
    packet = build.ipv4("10.64.0.0", STATIONS[1].addresses[4], build.udp(1, 9))
    asked = Sent(0, TO, build.ethernet(host.ROUTER, STATIONS[1].mac, packet))
    ordered = _as_asked(program.driver)
    names = ordered[-len(sizes) :]
    groups = {
        name: _many(*size, hit=name == names[-1]) for name, size in zip(names, sizes, strict=True)
    }
    policy = replace(
        host.base().policies[1],
        stateful=False,
        security_groups=frozenset(ordered[:unknown]) | {*names},
    )
    stage = Stage(Reference(), program)
    with suppress(RefusedError):
        stage.take(Held((policy,), Ruleset(groups, sets)))
        assert stage.take(asked) is None


def _as_asked(driver: Decider) -> list[str]:
    """Names of groups in the order in which the program asks them."""
    return sorted((f"group {n}" for n in range(16)), key=driver._settings.digests.group)


def _many(prefixes: int, sets: int, *, hit: bool) -> frozenset[Rule]:
    nested = [ip_network((0x0A400000 >> n << n, 32 - n)) for n in range(prefixes)]
    named = [
        Rule(TO, 4, 17 if hit and n == sets - 1 else 6, PortRange(9, 9), remote=f"set {n}")
        for n in range(sets)
    ]
    return frozenset(Rule(TO, 4, 6, PortRange(1, 1), remote=each) for each in nested) | {*named}
