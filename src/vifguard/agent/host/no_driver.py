"""A host without a driver: it enforces nothing, touches nothing, and reports why."""

from __future__ import annotations

from vifguard.agent.placement import locate
from vifguard.agent.reconcile import ReconcileResult
from vifguard.agent.state import AgentState, Dirty
from vifguard.agent.verify import EVERY, Checked
from vifguard.feed.messages import HostPort, PortReport, Update
from vifguard.model.port import PortState


class NoDriver:
    """The reconciler of a host without a driver: it touches nothing and reports why."""

    def __init__(self, state: AgentState, why: str) -> None:
        self._state = state
        self._why = why

    def reconcile(self, dirty: Dirty) -> ReconcileResult:
        """Report the ports as not supported."""
        ports = (self._state.ports.get(port_id) for port_id in dirty.ports)
        return ReconcileResult(tuple(self._unsupported(port) for port in ports if port))

    def sweep(self) -> frozenset[int]:
        """Do nothing."""
        return frozenset()

    def _unsupported(self, port: HostPort) -> PortReport:
        link = locate(self._state, port).link
        name = link.name if link else ""
        held = PortState.HELD_CLOSED
        return PortReport(port.policy.port_id, port.revision, held, name, self._why)


class NothingEnforced:
    """Read-back and ownership of a host without a driver: nothing to read, all updates accepted."""

    def __init__(self) -> None:
        self.due = 0.0

    def step(self, now: float) -> Checked:
        """Report no loss: nothing is enforced."""
        self.due = now + EVERY
        return Checked(is_round=True)

    def why_not(self, _: Update) -> str:
        """Object to no update: there is nothing to lose."""
        return ""

    def accept(self, _: Update) -> None:
        """Do nothing: there is no place to note it."""
