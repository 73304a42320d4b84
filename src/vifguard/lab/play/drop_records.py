"""Drop records: each frame that was dropped is named by its guard, and no other frame is."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PATIENCE = 10.0
"""Seconds within which a drop is reported."""

ROOM = 80
"""Drops that may be outstanding: the server remembers a hundred of each port."""

_AWHILE = 0.05
_EVERY = 0.3

ReadDrops = Callable[[str], Mapping[str, Any]]
"""The drop records and counts of a port, as the API returns them."""


@dataclass(frozen=True, slots=True)
class DropCause:
    """The guard that objected to a frame, and its reason."""

    guard: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.guard or 'closed'}: {self.reason}"


UNREPORTED = DropCause(None, "no drop record")

OnRecord = Callable[[DropCause], None]


@dataclass(slots=True)
class _Port:
    """One port's drops: those not yet reported, the last reported, and those of frames not sent."""

    outstanding: list[tuple[bytes, OnRecord]] = field(default_factory=list)
    last: float = 0.0
    expected: int = 0
    strays: list[str] = field(default_factory=list)


class Records:
    """The drop records of the ports that frames are played from.

    After `patience` seconds a drop that was not reported counts as UNREPORTED.
    """

    def __init__(self, read_port: ReadDrops, patience: float = PATIENCE) -> None:
        self._read_port = read_port
        self._patience = patience
        self._ports: defaultdict[str, _Port] = defaultdict(_Port)
        self._before: dict[str, int] = {}
        self._looked = 0.0

    def start(self, port_id: str) -> None:
        """Ignore the drops of the port so far."""
        answer = self._read_port(port_id)
        self._ports[port_id].last = max((record["at"] for record in answer["drops"]), default=0.0)
        self._before[port_id] = self.counts(port_id).total()

    def expect(self, port_id: str, frame: bytes, on_record: OnRecord) -> None:
        """Expect the drop of a frame at the port; `on_record` gets its cause once reported."""
        port = self._ports[port_id]
        port.outstanding.append((frame, on_record))
        port.expected += 1
        if time.monotonic() > self._looked + _EVERY:
            self._look()
        if len(port.outstanding) >= ROOM:
            self.flush()

    def flush(self) -> None:
        """Wait until every drop has been reported."""
        deadline = time.monotonic() + self._patience
        while waiting := self._waiting():
            self._look()
            if time.monotonic() > deadline:
                for _port_id, port in waiting:
                    _give_up(port, len(port.outstanding))
                return
            time.sleep(_AWHILE)

    def _waiting(self) -> list[tuple[str, _Port]]:
        return [(port_id, port) for port_id, port in self._ports.items() if port.outstanding]

    def _look(self) -> None:
        self._looked = time.monotonic()
        for port_id, port in self._waiting():
            self._match(port_id, port)

    def counts(self, port_id: str) -> Counter[str]:
        """The number of frames from the guest that each guard of the port dropped, as reported."""
        counted: Counter[str] = Counter()
        for count in self._read_port(port_id)["counts"]:
            if count["direction"] == "from-guest":
                counted[count["guard"] or "closed"] += count["frames"]
        return counted

    def wrong(self) -> list[str]:
        """Ports that dropped, or count, other frames than had to drop; counts come late."""
        deadline = time.monotonic() + self._patience
        while (wrong := self._miscounted()) and time.monotonic() < deadline:
            time.sleep(_AWHILE)
        strays = [
            f"port {port_id} dropped what nobody played: {stray}"
            for port_id, port in self._ports.items()
            for stray in port.strays
        ]
        return wrong + strays

    def _miscounted(self) -> list[str]:
        counted = {
            port_id: self.counts(port_id).total() - before
            for port_id, before in self._before.items()
        }
        return [
            f"port {port_id} counts {count} drops, and {self._ports[port_id].expected} had to be"
            for port_id, count in counted.items()
            if count != self._ports[port_id].expected
        ]

    def _match(self, port_id: str, port: _Port) -> None:
        for record in self._read_port(port_id)["drops"]:
            if record["at"] <= port.last or record["direction"] != "from-guest":
                continue
            port.last = record["at"]
            named, head = (
                DropCause(record["guard"], record["reason"]),
                bytes.fromhex(record["head"]),
            )
            # They come in the order of playing: those before the one that matches got lost.
            place = next(
                (i for i, (frame, _) in enumerate(port.outstanding) if _is_head(head, frame)), None
            )
            if place is None:
                port.strays.append(f"{named}, {record['head']}")
                continue
            _give_up(port, place)
            _frame, on_record = port.outstanding.pop(0)
            on_record(named)


def _give_up(port: _Port, count: int) -> None:
    """The first `count` drops that are waited for will not be reported."""
    for _frame, on_record in port.outstanding[:count]:
        on_record(UNREPORTED)
    del port.outstanding[:count]


def _is_head(head: bytes, frame: bytes) -> bool:
    # A tag that the kernel keeps beside the frame is not in its first bytes.
    return head[:12] == frame[:12]
