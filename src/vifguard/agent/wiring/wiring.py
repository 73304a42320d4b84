"""The protocol of wirings: where the frames of a host's ports go, and what holds them back.

A port's guard is put and taken by a driver; its wiring gives the interface its place. For a port
that comes: `prepare`, then its guard is put and read back, then `connect`. For one that ends:
`disconnect`, then its guard goes. An interface whose port or bridge changes is disconnected
between `prepare` and the new policy. So a wiring never passes a frame that no guard has judged, but
one that is not ours to hold (`has_quarantine` False), where the guard alone does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vifguard.agent.placement import Placement
from vifguard.agent.wiring.applied_wiring import Lost
from vifguard.kernel.net.link import Link


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of putting guards, for the wirings: by interface index.

    `failed`: interfaces whose guard is not as it should be; those of them in `unguarded` have
    none at all. `links`: other devices that changed. `guarded` gives all guarded interfaces.
    """

    failed: Collection[int]
    unguarded: frozenset[int]
    links: Collection[int]
    guarded: Callable[[], Collection[int]]


@dataclass(slots=True)
class Connected:
    """The result of connecting: failures with their reasons, by interface index and by uplink.

    `undone`: the losses of interfaces whose place somebody had changed, and that was put back.
    """

    failed: dict[int, str] = field(default_factory=dict)
    uplinks: dict[str, str] = field(default_factory=dict)
    undone: dict[int, Lost] = field(default_factory=dict)

    def add(self, other: Connected) -> None:
        """Take in another result."""
        self.failed |= other.failed
        self.uplinks |= other.uplinks
        self.undone |= other.undone


class Wiring(Protocol):
    """One way to wire ports. One thread's.

    `has_quarantine`: from its plug to its guard, and where no guard could be put, an interface
    is blocked by a drop chain. `places` are always those of this wiring, by interface index.
    """

    has_quarantine: bool

    def prepare(self, places: Mapping[int, Placement], ports: Collection[int]) -> None:
        """Record interfaces as they are, and silence the host itself at them. No frame passes.

        `ports` are the interfaces that ports have had until now.
        """

    def was_running(self, link: Link) -> bool:
        """Whether the guest of an interface had a network before any guard."""

    def connect(self, places: Mapping[int, Placement], batch: Batch) -> Connected:
        """Give guarded interfaces their place, and take it from those that are not."""

    def has(self, link: Link) -> bool:
        """Whether an interface that is no port's any more is this wiring's to disconnect."""

    def disconnect(self, links: Iterable[Link]) -> Mapping[int, str]:
        """Make interfaces pass nothing without a guard; return the failures, with the reason.

        Their guards go afterwards, or get the policy of another port or place.
        """

    def compare(self, ports: Collection[int], guarded: Collection[int]) -> None:
        """Put right what belongs to no port, once all ports have had their turn.

        `ports` are the interfaces that ports are at, and `guarded` those with a guard.
        """

    def sweep(self, ports: Collection[int]) -> None:
        """Remove leftovers of this wiring, after guards of no port went."""

    def silenced(self) -> Mapping[int, Mapping[str, str]]:
        """The sysctls that must hold, by interface index; any thread may call this."""
