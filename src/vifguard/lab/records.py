"""Drop records: each frame that was dropped is named by its guard, and no other frame is."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vifguard.lab.netns import LabError

PATIENCE = 10.0
"""Seconds within which a drop is reported."""

ROOM = 40
"""Drops that may be outstanding: the server remembers a hundred of each port."""

_AWHILE = 0.02

Ask = Callable[[str], Mapping[str, Any]]
"""The drop records and counts of a port, as the API tells them."""


@dataclass(frozen=True, slots=True)
class Named:
    """Who objected to a frame, and why."""

    guard: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.guard or 'closed'}: {self.reason}"


@dataclass(slots=True)
class _Port:
    """One port's drops: those not yet heard of, and the last that was."""

    outstanding: list[tuple[bytes, Callable[[Named], None]]] = field(default_factory=list)
    last: float = 0.0
    expected: int = 0


class Records:
    """The drop records of the ports that frames are played from."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._ports: defaultdict[str, _Port] = defaultdict(_Port)
        self._before: dict[str, int] = {}

    def begin(self, port_id: str) -> None:
        """What the port has dropped so far was not of our doing."""
        answer = self._ask(port_id)
        self._ports[port_id].last = max((record["at"] for record in answer["drops"]), default=0.0)
        self._before[port_id] = _count(answer)

    def expect(self, port_id: str, frame: bytes, told: Callable[[Named], None]) -> None:
        """A frame was dropped at the port; `told` hears by whom and why."""
        port = self._ports[port_id]
        port.outstanding.append((frame, told))
        port.expected += 1
        if len(port.outstanding) >= ROOM:
            self.flush()

    def flush(self) -> None:
        """Wait until every drop has been reported."""
        deadline = time.monotonic() + PATIENCE
        for port_id, port in self._ports.items():
            while port.outstanding:
                self._match(port_id, port)
                if port.outstanding and time.monotonic() > deadline:
                    frame = port.outstanding[0][0]
                    raise LabError(
                        f"{len(port.outstanding)} drops of port {port_id} were not reported in "
                        f"{PATIENCE:g} s; the first is of {frame[:64].hex()}"
                    )
                if port.outstanding:
                    time.sleep(_AWHILE)

    def miscounted(self) -> Iterator[str]:
        """Ports whose count of drops is not the number of frames that had to drop."""
        for port_id, before in self._before.items():
            counted = _count(self._ask(port_id)) - before
            if counted != self._ports[port_id].expected:
                expected = self._ports[port_id].expected
                yield f"port {port_id} counts {counted} drops, and {expected} were expected"

    def _match(self, port_id: str, port: _Port) -> None:
        for record in self._ask(port_id)["drops"]:
            if record["at"] <= port.last or record["direction"] != "from-guest":
                continue
            port.last = record["at"]
            head = bytes.fromhex(record["head"])
            if not port.outstanding or not _is_head(head, port.outstanding[0][0]):
                raise LabError(f"port {port_id} dropped what nobody sent: {record}")
            _frame, told = port.outstanding.pop(0)
            told(Named(record["guard"], record["reason"]))


def _is_head(head: bytes, frame: bytes) -> bool:
    # A tag that the kernel keeps beside the frame is not in its first bytes.
    return head[:12] == frame[:12]


def _count(answer: Mapping[str, Any]) -> int:
    return sum(count["frames"] for count in answer["counts"] if count["direction"] == "from-guest")
