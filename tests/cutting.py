"""Databases whose connection ends where a test says."""

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url

from vifguard.store.store import Store

_COUNTED = b"QES"
"""Query, Execute, Sync: what makes a PostgreSQL server do something."""


class Cut:
    """What is passed on until the connection is cut; without a plan everything is."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.is_done = False
        self.is_closed = False
        self._lock = threading.Lock()

    def plan(self, passed: int) -> None:
        """Cut after so many of what is counted."""
        with self._lock:
            self.left, self.is_done, self.is_closed = passed, False, False

    def disarm(self) -> bool:
        """Cut no more; whether there was a cut since it was planned."""
        with self._lock:
            self.left, self.is_closed = None, False
            return self.is_done

    def comes(self) -> bool:
        """Count one; whether the connection ends behind it."""
        with self._lock:
            if self.left is None:
                return False
            self.left -= 1
            if self.left == 0:
                self.is_done, self.left = True, None
                return True
            return False


class Proxy:
    """Stands before a PostgreSQL server. The connection that listens is left alone."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._server = str(Path(str(parsed.query["host"])) / ".s.PGSQL.5432")
        self._door = socket.create_server(("127.0.0.1", 0))
        self.cut = Cut()
        self.closes = False
        port = self._door.getsockname()[1]
        query = {"sslmode": "disable", "gssencmode": "disable"}
        self.url = (
            parsed.set(host="127.0.0.1", port=port, query=query)
        ).render_as_string(hide_password=False)  # fmt: skip

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        """Within, it passes on."""
        thread = threading.Thread(target=self._accept)
        thread.start()
        try:
            yield self
        finally:
            self._door.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                if self.cut.is_closed:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                # A client that is cut off hears nothing of what the server goes on saying.
                mute = threading.Event()
                for each in (self._up, self._down):
                    threading.Thread(target=each, args=(client, server, mute), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError), client.makefile("rb") as said:
            head = said.read(4)
            server.sendall(head + said.read(int.from_bytes(head) - 4))
            listens = False
            while kind := said.read(1):
                length = said.read(4)
                body = said.read(int.from_bytes(length) - 4)
                listens = listens or b"LISTEN" in body
                ends = not listens and kind in _COUNTED and self.cut.comes()
                if ends:
                    mute.set()
                    self.cut.is_closed = self.closes
                server.sendall(kind + length + body)
                if ends:
                    break
        with suppress(OSError):
            # It does what it was told, finds the end, and undoes what is not committed.
            server.shutdown(socket.SHUT_WR)
            client.shutdown(socket.SHUT_RDWR)

    def _down(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with client, server, suppress(OSError):
            while part := server.recv(65536):
                if not mute.is_set():
                    client.sendall(part)


def failing(store: Store) -> Cut:
    """Let a SQLite store's connections fail at a statement, before a COMMIT, or behind it."""
    cut = Cut()

    def fail() -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_WRITE"
        raise error

    class Cursor(sqlite3.Cursor):
        def execute(self, *given: Any) -> sqlite3.Cursor:
            return _or_fail(super().execute, *given)

        def executemany(self, *given: Any) -> sqlite3.Cursor:
            return _or_fail(super().executemany, *given)

    def _or_fail(do: Callable[..., sqlite3.Cursor], *given: Any) -> sqlite3.Cursor:
        if cut.comes():
            fail()
        return do(*given)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
            return super().cursor(Cursor)

        def commit(self) -> None:
            if cut.comes():
                fail()
            super().commit()
            if cut.comes():
                fail()

    def connect(_dialect: Any, _record: Any, _given: Any, named: dict[str, Any]) -> None:
        named["factory"] = Connection

    engine = store._database.reading
    event.listen(engine, "do_connect", connect)
    engine.dispose()
    return cut
