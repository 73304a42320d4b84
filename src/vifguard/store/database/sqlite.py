"""SQLite: the one file that knows it. One server, so no other is notified.

WAL: readers never wait for the writer. synchronous=NORMAL: a power cut may lose the last
changes, never corrupt them; `WriteTransaction.restart` is for agents that saw them.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError

from vifguard.store.database.notification import Notification
from vifguard.store.database.statements import BoundStatement, translated_errors
from vifguard.store.errors import DatabaseError, ReplacedError
from vifguard.store.schema import tables
from vifguard.store.schema.row_mapping import Record

_LOG = logging.getLogger("vifguard")

OLDEST: Final = (3, 35)
"""The first SQLite with RETURNING."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
)


class SqliteDatabase:
    """A SQLite file; it is created (mode 0600) where there is none."""

    lock_statements: Sequence[BoundStatement] = ()
    """Empty: BEGIN IMMEDIATE already takes SQLite's write lock."""

    def __init__(self, path: Path) -> None:
        self.reading: Engine = engine_of(path)
        self.autocommit: Engine = self.reading.execution_options(looking=True)
        self.writing: Engine = self.reading.execution_options(writing=True)

    def start_listening(
        self, on_connect: Callable[[], None], _on_notification: Callable[[Notification], None]
    ) -> None:
        """Call `on_connect` once: no other server writes the file."""
        on_connect()

    def is_only_server(self, _change: Connection) -> bool:
        """True: the file is one server's."""
        return True

    def execute_batch(
        self,
        connection: Connection,
        statements: Sequence[BoundStatement],
        then: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        """Execute one statement after the other."""
        try:
            with translated_errors(connection):
                answers = [each.execute(connection).records() for each in statements]
                if then is not None:
                    then()
        except DBAPIError:
            if then is not None:
                # SQLAlchemy takes a transaction for ended once it sent COMMIT, whatever failed.
                with suppress(sqlite3.Error):
                    connection.connection.rollback()
            raise
        return answers

    def was_committed(self, _lock_result: Sequence[Record], revision: int) -> bool:
        """Compare revisions: with no other writer, the file has the change's or the one before."""
        with self.autocommit.connect() as connection:
            found: int = connection.scalar(select(tables.revision.c.value)) or 0
        return 0 < revision <= found

    def notify_statements(self, _notification: Notification) -> Iterator[BoundStatement]:
        """None: there is no other server."""
        return iter(())

    def close(self) -> None:
        """Close every connection."""
        self.reading.dispose()


def engine_of(path: Path) -> Engine:
    """An engine over the file, which is created (mode 0600) where there is none.

    Raises DatabaseError where Python's SQLite is too old.
    """
    if sqlite3.sqlite_version_info < OLDEST:
        raise DatabaseError(
            f"this Python has SQLite {sqlite3.sqlite_version}, and "
            f"{'.'.join(map(str, OLDEST))} or newer is needed: use PostgreSQL, or a Python "
            "with a newer SQLite"
        )
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=16,
        max_overflow=64,
        # The connection that wrote last has the rows in its cache; the others read anew.
        pool_use_lifo=True,
        connect_args={"check_same_thread": False},
        # Parameters by name, as the other database takes them.
        paramstyle="named",
    )
    file = _File(path)
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", file.require)
    event.listen(engine, "begin", _begun)
    return engine


class _File:
    """The file that was opened, which must stay the one of its name.

    SQLite goes on with a file that was removed or replaced: its writes are lost with the process,
    and a new connection sees the other file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = self._there()
        self._is_logged = False

    def require(self, _connection: Connection) -> None:
        """Raise ReplacedError where the file is removed or replaced."""
        if self._there() == self._opened:
            self._is_logged = False
            return
        why = (
            f"The database {self._path} was removed or replaced while it is in use: "
            "put that file back, or start the server again."
        )
        if not self._is_logged:
            self._is_logged = True
            _LOG.error("%s", why)
        raise ReplacedError(why)

    def _there(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - for each transaction
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _connected(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins leaves reads outside of any: two
    # SELECTs would see two states. We send BEGIN ourselves.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def _begun(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("looking", False):
        # A reader cannot become the writer once another has written.
        begin = "BEGIN IMMEDIATE" if options.get("writing", False) else "BEGIN"
        connection.exec_driver_sql(begin)
