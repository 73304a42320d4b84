"""The protocol of a database: engines, the lock of a change, and notifications of servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import Connection, Engine

from vifguard.store.database.notification import Notification
from vifguard.store.database.statements import BoundStatement
from vifguard.store.schema.row_mapping import Record


class Database(Protocol):
    """One database that the store is kept in.

    A transaction on `reading` sees one state, whatever is committed meanwhile. On `autocommit`
    each statement sees what is committed. One on `writing` runs `lock_statements` first, so that
    these come one after the other among all servers: a reader never sees a revision without every
    one before it.
    """

    reading: Engine
    autocommit: Engine
    writing: Engine
    lock_statements: Sequence[BoundStatement]

    def start_listening(
        self, on_connect: Callable[[], None], on_notification: Callable[[Notification], None]
    ) -> None:
        """Call `on_connect` now and after each reconnection, `on_notification` for other servers'.

        Returns after the first call, and raises its errors.
        """

    def is_only_server(self, change: Connection) -> bool:
        """Whether no other server has joined; true until the change ends."""

    def execute_batch(
        self,
        connection: Connection,
        statements: Sequence[BoundStatement],
        then: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        """Execute statements in their order, then `then`; return the rows of each.

        Statements are pipelined where the database is behind a network.
        """

    def was_committed(self, turn: Sequence[Record], revision: int) -> bool | None:
        """Whether a change was committed whose COMMIT was not answered; None where that is unknown.

        `turn` are the rows of `lock_statements`, `revision` is the allocated one or 0. The
        caller has the write lock of this server. Raises SQLAlchemy's errors.
        """

    def notify_statements(self, notification: Notification) -> Iterator[BoundStatement]:
        """The statements that notify other servers as soon as they are committed."""

    def close(self) -> None:
        """Stop listening and close every connection."""
