"""Rows of a scenario's own, run in its world as those of the catalogue are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vifguard.lab.attacks.attack import Attack
from vifguard.lab.play.catalogue_run import CatalogueRun
from vifguard.lab.play.drop_records import Records
from vifguard.lab.play.referee import Referee
from vifguard.lab.play.topology import LabSegment, Topology
from vifguard.lab.play.world_segments import host_station
from vifguard.lab.result.finding import Tell
from vifguard.lab.world.world import World


def topology_of(world: World, segments: tuple[LabSegment, ...]) -> Topology:
    """The topology of these segments of a world."""
    hosts = {each.name: host_station(world, world.nets[each.name]) for each in segments}
    return Topology(world.host_netns, segments, hosts)


def records_of(world: World) -> Records:
    """The drop records of a world's ports, as the operator sees them."""

    def read_port(port_id: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = world.operator.call("GET", f"ports/{port_id}/drops")
        return answer

    return Records(read_port)


def run_rows(
    scenario: str,
    world: World,
    segments: tuple[LabSegment, ...],
    attacks: Iterable[Attack],
    tell: Tell,
) -> None:
    """Play these rows on these segments."""
    with Referee(topology_of(world, segments)) as referee:
        trial = CatalogueRun(scenario, referee, records_of(world), tell)
        for attack in attacks:
            trial.play(attack)
        trial.close()
