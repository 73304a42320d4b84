"""uvicorn's HTTP/1.1 protocol with a deadline and a size limit for request heads (slow clients).

uvicorn ends a connection that is idle between requests; it would keep one that sends a byte now
and then, and never a whole request, and would store a head that never ends. A process may have
a few thousand connections at most.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0
"""Seconds that a client may take to send the head of a request."""

MAX_HEAD = 64 * 1024
"""Bytes of a head that is not complete; a complete one of more than 16 KiB is answered 431."""


class TimeoutProtocol(HttpToolsProtocol):
    """Ends a connection whose request does not begin, or whose head does not end."""

    _in_head = False
    _waiting: asyncio.TimerHandle | None = None
    _said = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head ends."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Wait on while a head is incomplete, and not too large."""
        super().data_received(data)
        if not self._in_head:
            self._said = 0
            self._unwait()
            return
        self._said += len(data)
        if self._said > MAX_HEAD:
            self.send_400_response("The head of the request is too large.")
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._unwait()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
