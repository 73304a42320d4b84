"""HTTP/1.1 as uvicorn speaks it, and not for ever with who does not finish a sentence.

uvicorn ends a connection that is idle between requests; one that says a byte now and then, and
never a whole request, it would keep. A few thousand of those are all a process may have.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
"""How long a client may take to send the head of a request."""


class PatientProtocol(H11Protocol):
    """Ends a connection whose request does not begin, or whose head does not end."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on while a head is incomplete."""
        super().data_received(data)
        begun = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        if not begun:
            self._unwait()
        elif self._head is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._unwait()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwait(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
