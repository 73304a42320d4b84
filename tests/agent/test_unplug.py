"""An interface that stops being a port's, by what the agent's hands are told to do."""

from __future__ import annotations

from dataclasses import replace

from tests.agent.host_facts import link, port, port_id, tap, update
from tests.agent.recorder import Recorder

from vifguard.agent.host_guards import HostGuards
from vifguard.agent.reconcile import Reconciler
from vifguard.agent.state import AgentState, AllLinks, Dirty
from vifguard.agent.wiring.linux import linux_wirings
from vifguard.bridging import bridge as data
from vifguard.bridging.bridge import BridgeChange, ObservedBridges
from vifguard.bridging.bridge_applier import BridgeResult
from vifguard.enforce.driver.session import Session
from vifguard.kernel.net.link import LinkChange, changed


class FakeWirer:
    """Remembers what it was told to change."""

    def __init__(self) -> None:
        self.told: dict[int, LinkChange] = {}

    def link(self, _):
        return None

    def observe(self, links):
        return ObservedBridges({each.index: each for each in links}, frozenset())

    def diff(self, wanted, seen):
        return data.difference(wanted, seen)

    def apply(self, change: BridgeChange) -> BridgeResult:
        self.told |= {link.index: each for link, each in change.members}
        return BridgeResult(links=[changed(link, each) for link, each in change.members])


class NoneAdopted:
    """No bridge is the operator's."""

    def compare(self, _ports, _guarded):
        pass

    def note_left(self, _):
        pass

    def allow_forwarding(self, _ports, _others=()):
        return {}

    def deny_forwarding(self, _):
        return {}

    def holds(self, _):
        return False

    def forget(self, _):
        pass

    def bridge_of(self, _):
        return None

    def was_there(self, _):
        return False


class NothingRecorded:
    """No interface is known as it was found."""

    def note(self, links, **_):
        list(links)

    def is_taken(self, _):
        return False

    def keep(self, _):
        return []

    def is_hands_off(self, _):
        return False

    def give_back(self, _links, _may_pass):
        return {}

    def forget(self, _):
        pass


class FakeQuarantine:
    """Takes whatever it is told."""

    devices: frozenset[str] = frozenset()

    def update(self, *_):
        return {}


def test_what_was_raised_in_the_moment_of_its_renaming_is_taken_down():
    """The link was down; we raised it by its number, and only then hear that it has a new name."""
    state, wirer = AgentState({}), FakeWirer()
    tools = wirer, FakeQuarantine(), NoneAdopted(), NothingRecorded()
    wirings = linux_wirings(state, *tools, by_name=False)
    hands = Reconciler(state, HostGuards([Session(Recorder())]), wirings, wirer.link)
    state.take(replace(update(port(1)), complete=True))
    down = link(5, tap(1), up=False)
    state.take(AllLinks((down,)))
    hands.reconcile(Dirty(frozenset({port_id(1)})))
    assert wirer.told[5].up is True
    hands.reconcile(state.take(replace(down, name="other")))
    assert wirer.told[5].up is False
