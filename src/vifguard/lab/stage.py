"""Rows of a scenario's own, played in its world as those of the catalogue are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vifguard.lab.arena import Arena, Segment
from vifguard.lab.attacks.attack import Attack
from vifguard.lab.casting import host_station
from vifguard.lab.finding import Tell
from vifguard.lab.records import Records
from vifguard.lab.referee import Referee
from vifguard.lab.trial import Trial
from vifguard.lab.world import World


def arena_of(world: World, segments: tuple[Segment, ...]) -> Arena:
    """The arena of these segments of a world."""
    hosts = {each.name: host_station(world, world.nets[each.name]) for each in segments}
    return Arena(world.host_netns, segments, hosts)


def records_of(world: World) -> Records:
    """The drop records of a world's ports, as the operator sees them."""

    def ask(port_id: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = world.operator.call("GET", f"ports/{port_id}/drops")
        return answer

    return Records(ask)


def played(
    scenario: str,
    world: World,
    segments: tuple[Segment, ...],
    attacks: Iterable[Attack],
    tell: Tell,
) -> None:
    """Play these rows on these segments."""
    with Referee(arena_of(world, segments)) as referee:
        trial = Trial(scenario, referee, records_of(world), tell)
        for attack in attacks:
            trial.play(attack)
        trial.close()
