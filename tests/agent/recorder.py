"""A driver that guards nothing and keeps what it is told to, in memory: a second one of ours.

It guards the interfaces of some kinds, knows each by a name of its own, and can be told to lose a
guard, to fail a port or a whole change, to refuse to let one go, and to report events.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vifguard.enforce.driver.device import Device, NamedDevice
from vifguard.enforce.driver.events import Claimed, Dropped, DropTotal
from vifguard.enforce.driver.protocol import (
    ApplyError,
    Attachment,
    Capabilities,
    Change,
    Desired,
    Driver,
    Loss,
    Observed,
    PortError,
    RulesetChange,
)
from vifguard.kernel.net.link import Link
from vifguard.model.address import IPAddress, IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction

Image = tuple[PortPolicy, bool, int]
"""A policy, whether the hooks are reversed, and the revision."""


class RecorderEvents:
    """Events that a test puts, and the frames that were to be sent."""

    def __init__(self) -> None:
        self._waiting = os.eventfd(0, os.EFD_NONBLOCK)
        self._drops: list[Dropped] = []
        self._claims: list[Claimed] = []
        self.totals: list[DropTotal] = []
        self.last_uses: dict[Device, dict[IPAddress, int]] = defaultdict(dict)
        self.sent: list[tuple[Device, Direction, bytes, bool]] = []

    def put(self, *events: Dropped | Claimed) -> None:
        self._drops += [each for each in events if isinstance(each, Dropped)]
        self._claims += [each for each in events if isinstance(each, Claimed)]
        os.eventfd_write(self._waiting, 1)

    def descriptors(self) -> Sequence[int]:
        return (self._waiting,)

    def drops(self) -> Sequence[Dropped]:
        taken, self._drops = self._drops, []
        if taken:
            os.eventfd_read(self._waiting)
        return taken

    def claims(self) -> Sequence[Claimed]:
        taken, self._claims = self._claims, []
        return taken

    def counts(self) -> Iterable[DropTotal]:
        return list(self.totals)

    def sightings(self, device: Device) -> Mapping[IPAddress, int]:
        return self.last_uses[device]

    def uses(self, device: Device) -> Mapping[IPAddress, int]:
        return self.last_uses[device]

    def inject(
        self, device: Device, direction: Direction, frame: bytes, *, reversed_hooks: bool
    ) -> None:
        self.sent.append((device, direction, frame, reversed_hooks))

    def close(self) -> None:
        os.close(self._waiting)


class Recorder(Driver[Image]):
    """Keeps images in memory. `kinds`: of the interfaces that it guards; empty for all."""

    def __init__(
        self, name: str = "recorder", *kinds: str, refused: Mapping[Guard, str] | None = None
    ) -> None:
        self._capabilities = Capabilities(name, "memory", refused or {})
        self._kinds = kinds
        self.images: dict[Device, Image] = {}
        self.failing: dict[Device, str] = {}
        """Devices whose images are not taken, and why."""
        self.refused: dict[Device, str] = {}
        """Devices whose policies cannot be rendered, and why."""
        self.unread: dict[Device, str] = {}
        """Devices that cannot be read, and why."""
        self.errors: list[str] = []
        """Why the next changes fail as a whole."""
        self.rules_error = ""
        """Why rules can neither be loaded nor read."""
        self.leftovers: frozenset[str] = frozenset()
        self.broken: list[str] = []
        """What all guards have in common and was lost; `repair` puts it back."""
        self.applied: list[Change[Image]] = []
        self.loaded: list[RulesetChange] = []
        self.rules_are_lost = False
        self._events = RecorderEvents()
        self._store = ""
        self.is_closed = False

    def device(self, interface: str) -> NamedDevice:
        """The device of an interface of that name."""
        return NamedDevice(self._capabilities.driver, interface)

    def lose(self, interface: str) -> None:
        """Let somebody take the guard off."""
        del self.images[self.device(interface)]

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def events(self) -> RecorderEvents:
        return self._events

    @property
    def holder(self) -> str:
        return f"{self._capabilities.driver}-1"

    @property
    def store(self) -> str:
        return self._store

    def set_store(self, ident: str) -> None:
        self._store = ident

    def device_of(self, link: Link) -> NamedDevice | None:
        return self.device(link.name) if not self._kinds or link.kind in self._kinds else None

    def connections(self) -> None:
        return None

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        self._try_rules()
        self.loaded.append(change)
        self.rules_are_lost = False
        return frozenset()

    def _try_rules(self) -> None:
        if self.rules_error:
            raise OSError(self.rules_error)

    def rules_lost(self) -> bool:
        self._try_rules()
        return self.rules_are_lost

    def compare_rules(self, _: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        self._try_rules()
        yield not self.rules_are_lost

    def repair(self) -> tuple[str, ...]:
        lost, self.broken = tuple(self.broken), []
        return lost

    def render(self, attachments: Iterable[Attachment]) -> Desired[Image]:
        given = {each.device: each for each in attachments}
        images = {d: (each.policy, each.reversed_hooks, each.revision) for d, each in given.items()}
        refused = {d: why for d, why in self.refused.items() if d in given}
        running = frozenset(d for d, each in given.items() if each.running)
        return Desired(images, refused, running)

    def observe(self, scope: frozenset[Device] | None) -> Observed[Image]:
        for device in self.unread.keys() if scope is None else self.unread.keys() & scope:
            raise OSError(self.unread[device])
        if scope is None:
            return Observed(dict(self.images), self.leftovers)
        return Observed({d: each for d, each in self.images.items() if d in scope})

    def apply(self, change: Change[Image]) -> None:
        if self.errors:
            raise OSError(self.errors.pop(0))
        self.applied.append(change)
        taken = {d: each for d, each in change.ports.items() if d not in self.failing}
        self.images |= taken
        for device in change.removed - self.failing.keys():
            del self.images[device]
        if change.sweep:
            self.leftovers = frozenset()
        failed = (change.ports.keys() | change.removed) & self.failing.keys()
        if failed:
            raise ApplyError("failed", [PortError(d, self.failing[d]) for d in failed])

    def loss(self, enforced: Image, observed: Image | None) -> Loss | None:
        return None if enforced == observed else Loss("forgotten", "its image is gone")

    def port_of(self, observed: Image) -> str:
        return observed[0].port_id

    def remove_all(self) -> None:
        self.images.clear()
        self.close()

    def close(self) -> None:
        if not self.is_closed:
            self._events.close()
        self.is_closed = True
