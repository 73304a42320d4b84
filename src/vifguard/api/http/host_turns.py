"""Turns of hosts: requests of one host wait for each other, and for no other host's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vifguard.attributes.refusal import Refusal


@dataclass(slots=True)
class _Line:
    """The requests of one host: one has the turn, the others wait."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    requests: int = 0


class HostTurns:
    """Requests of one kind, of each host one at a time. One event loop uses one."""

    def __init__(self, what: str, most_waiting: int) -> None:
        """`what` names such a request; of a host `most_waiting` wait for their turn at most."""
        self._what = what
        self._most = 1 + most_waiting
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(
        self, host: str, displace: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """Have the host's turn within; raises Refusal (503) where enough wait for it already.

        `displace` is called before this one waits: it may make the one with the turn end.
        """
        line = self._lines.setdefault(host, _Line())
        if line.requests >= self._most:
            message = (
                f"A {self._what} of host {host} is being processed, and {self._most - 1} wait: "
                "send one after the other."
            )
            raise Refusal(503, "HTTPServiceUnavailable", message, {"Retry-After": "1"})
        line.requests += 1
        try:
            if line.requests > 1:
                displace()
            async with line.turn:
                yield
        finally:
            line.requests -= 1
            if not line.requests:
                del self._lines[host]

    def is_awaited(self, host: str) -> bool:
        """Whether a request of the host waits for the one that has the turn."""
        line = self._lines.get(host)
        return line is not None and line.requests > 1
