"""The state is a fold of facts: their order, repetition and packaging do not matter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.agent.host_facts import (
    bridge,
    complete,
    link,
    mac,
    network_id,
    port,
    port_id,
    tap,
    update,
)

from vifguard.agent.placement import locate
from vifguard.agent.state import NOTHING, AgentState, AllLinks, Event
from vifguard.kernel.net.link import LinkRemoved

PHYSICAL = {"physnet1": "eth1"}

PORTS = st.builds(
    port,
    st.integers(1, 6),
    network=st.integers(1, 2),
    interface=st.sampled_from(["", "tap0", "tap1"]),
    own=st.sampled_from([None, mac(1), mac(2)]),
    physical=st.sampled_from(["", "physnet1"]),
)
LINKS = st.builds(
    link,
    st.integers(1, 6),
    st.sampled_from(["tap0", "tap1", "eth1", tap(1), tap(2), "vnet0", bridge(1)]),
    st.integers(0, 2),
    master=st.sampled_from([0, 5]),
)


def one_name_each(links: list[Any]) -> list[Any]:
    return list(
        {each.name: each for each in {each.index: each for each in links}.values()}.values()
    )


def snapshot(state: AgentState) -> dict[str, Any]:
    """Everything that can be asked of a state."""
    return {
        "ports": state.ports,
        "links": state.links,
        "bridges": state.bridges,
        "places": {i: locate(state, each) for i, each in state.ports.items()},
        "segments": {each.network_id: each for each in state.segments},
        "named": {each.name: state.named(each.name) for each in state.links.values()},
        "claimants": {n: sorted(state.claimants(n)) for n in ("tap0", "tap1", tap(1), tap(2))},
        "macs": {n: sorted(state.ports_with_mac(mac(n))) for n in (1, 2)},
    }


def after(*events: Event) -> AgentState:
    state = AgentState(PHYSICAL)
    for event in (complete(), *events):
        state.take(event)
    return state


@given(st.lists(PORTS, unique_by=lambda p: p.policy.port_id), st.lists(LINKS).map(one_name_each))
def test_order_repetition_and_packaging_do_not_matter(ports, links):
    at_once = snapshot(after(AllLinks(tuple(links)), update(*ports)))
    apart = [*links, *(update(each) for each in ports)]
    assert snapshot(after(*apart)) == at_once
    assert snapshot(after(*reversed(apart))) == at_once
    assert snapshot(after(*apart, *apart)) == at_once
    assert snapshot(after(complete(*ports), AllLinks(tuple(links)))) == at_once


@given(st.lists(PORTS, unique_by=lambda p: p.policy.port_id), st.lists(LINKS).map(one_name_each))
def test_what_came_and_went_leaves_nothing(ports, links):
    gone = frozenset(each.policy.port_id for each in ports)
    state = after(update(*ports), *links, update(gone=gone), *(LinkRemoved(x.index) for x in links))
    assert snapshot(state) == snapshot(after())
    assert state.take_left() >= {each.index for each in links if each.master}
    assert vars(state) == vars(after())


@given(st.lists(PORTS, min_size=1), st.lists(LINKS))
def test_what_an_event_touches_is_all_whose_place_it_changes(ports, links):
    state = AgentState(PHYSICAL)
    state.take(complete())
    for event in [
        e for pair in zip(ports, links, strict=False) for e in (update(pair[0]), pair[1])
    ]:
        if any(x.name == getattr(event, "name", "") for x in state.links.values()):
            continue  # the kernel has one link of a name
        before = {i: locate(state, each) for i, each in state.ports.items()}
        touched = state.take(event)
        after_ = {i: locate(state, each) for i, each in state.ports.items()}
        moved = {i for i in before.keys() | after_.keys() if before.get(i) != after_.get(i)}
        assert moved <= touched.ports


def test_nothing_counts_before_one_complete_update():
    state = AgentState({})
    assert state.take(update(port(1))) == NOTHING
    assert not state.complete
    assert state.take(complete(port(1))).everything
    assert state.ports.keys() == {port_id(1)}


def test_an_older_update_that_comes_late_changes_nothing():
    state = AgentState({})
    state.take(complete(port(1), revision=5))
    assert state.take(update(gone=frozenset({port_id(1)}), revision=4)) == NOTHING
    assert state.ports.keys() == {port_id(1)}


def test_an_equal_link_is_no_news():
    state = AgentState({})
    state.take(complete(port(1)))
    tap1 = link(3, tap(1))
    assert state.take(tap1).ports == {port_id(1)}
    assert state.take(tap1) == NOTHING


def test_a_changed_bridge_touches_its_networks_ports():
    state = after(update(port(1), port(2, network=2)), link(9, bridge(1), kind="bridge", up=True))
    touched = state.take(link(9, bridge(1), kind="bridge", up=False))
    assert touched.ports == {port_id(1)}
    assert network_id(1) in {each.network_id for each in state.segments}
