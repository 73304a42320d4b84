"""What the store asks of a database beside SQL: turns, and that other servers hear of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sqlalchemy import Connection, Engine

from vifguard.store.database.notification import Notification
from vifguard.store.database.statements import BoundStatement
from vifguard.store.schema.mapping import Record


class Database(Protocol):
    """One database that the store is kept in.

    Transactions begun on `reading` see one state, whatever is committed meanwhile; on `looking`
    there are none, and each statement sees what is there. Those begun on `writing` that run
    `turn` first come one after the other, among all servers, and each sees what all before it
    committed: a reader never sees a revision without every one before it.
    """

    reading: Engine
    autocommit: Engine
    writing: Engine
    lock_statements: Sequence[BoundStatement]

    def start_listening(
        self, on_connect: Callable[[], None], on_notification: Callable[[Notification], None]
    ) -> None:
        """Call `joined` now, and whenever news may have been missed; `heard` for others' news.

        Returns after the first call, and raises what it raises.
        """

    def is_only_server(self, change: Connection) -> bool:
        """Whether no other server has joined; true until the change ends."""

    def execute_batch(
        self,
        connection: Connection,
        statements: Sequence[BoundStatement],
        then: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        """The answers to statements, which are run in their order, and after them `last`.

        They go to the database one behind the other where it is a way to go.
        """

    def was_committed(self, turn: Sequence[Record], revision: int) -> bool | None:
        """Whether a change was committed whose end nobody told; None where that is not known.

        `turn` is what `turn` answered to it, `revision` what it raised the revision to, or 0.
        For who has the turn of this server, and raises what SQLAlchemy raises.
        """

    def notify_statements(self, notification: Notification) -> Iterator[BoundStatement]:
        """The statements that let other servers hear the news as soon as they are committed."""

    def close(self) -> None:
        """Hear nothing more and close every connection."""
