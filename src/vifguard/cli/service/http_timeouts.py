"""uvicorn's HTTP/1.1 protocol with a deadline and limits for slow and costly requests.

uvicorn ends a connection that is idle between requests; it would keep one that sends a byte now
and then, and never a whole request, and would store a head that never ends. A process may have
a few thousand connections at most. A body in chunks of a byte costs the event loop a call for each:
two megabytes a second of them keep it from everybody else.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 30.0
"""Seconds that a client may take to send the head of a request."""

MAX_HEAD = 64 * 1024
"""Bytes of a head that is not complete; a complete one of more than 16 KiB is answered 431."""

MAX_CHUNKS = 4096
"""Chunks of a body, and its trailers. A body of 16 MiB in chunks of 4 KiB has so many."""


class TooManyChunksError(Exception):
    """A body has more chunks than are read."""


class TimeoutProtocol(HttpToolsProtocol):
    """Ends a connection that sends no request, a head without end, or a body of many chunks."""

    _in_head = False
    _waiting: asyncio.TimerHandle | None = None
    _said = 0
    _chunks = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        self._parts: list[bytes] = []
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head ends."""
        self._in_head = False
        self._chunks = 0
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header ends, or a trailer: that counts as a chunk."""
        if not self._in_head:
            self.on_chunk_header()
        super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """A chunk begins; raises TooManyChunksError, which ends the parser and is answered 400."""
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise TooManyChunksError

    def on_body(self, body: bytes) -> None:
        """A part of a body; uvicorn copies what it has for each that it is given."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """A request ends."""
        self._pass_on()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that cannot be parsed, and close the connection."""
        many = f"The body has more than {MAX_CHUNKS} chunks; send larger ones."
        super().send_400_response(many if self._chunks > MAX_CHUNKS else msg)

    def data_received(self, data: bytes) -> None:
        """Wait on while a head is incomplete, and not too large."""
        super().data_received(data)
        self._pass_on()
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

    def _pass_on(self) -> None:
        """Give the parts of a body that have come to uvicorn, as one."""
        if self._parts:
            super().on_body(b"".join(self._parts))
            self._parts.clear()

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _unwait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
