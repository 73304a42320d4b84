"""What the store asks of a database beside SQL: turns, and that other servers hear of changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine

from vifguard.store.errors import DatabaseError
from vifguard.store.prepared import Asked
from vifguard.store.rows import Record


@dataclass(frozen=True, slots=True)
class News:
    """What a committed change means for those who wait, at whichever server.

    `hosts` have something new to hold, `ports` (by id, or as `ports_of` a host) were changed or
    reported; None means all of them. `release` is when the next hold of an IP group ends
    (seconds since the epoch).
    """

    hosts: frozenset[str] | None = frozenset()
    ports: frozenset[str] | None = frozenset()
    release: float | None = None


class Database(Protocol):
    """One database that the store is kept in.

    Transactions begun on `reading` see one state, whatever is committed meanwhile; on `looking`
    there are none, and each statement sees what is there. Those begun on `writing` that run
    `turn` first come one after the other, among all servers, and each sees what all before it
    committed: a reader never sees a revision without every one before it.
    """

    reading: Engine
    looking: Engine
    writing: Engine
    turn: Sequence[Asked]

    def join(self, joined: Callable[[], None], heard: Callable[[News], None]) -> None:
        """Call `joined` now, and whenever news may have been missed; `heard` for others' news.

        Returns after the first call, and raises what it raises.
        """

    def is_alone(self, change: Connection) -> bool:
        """Whether no other server has joined; true until the change ends."""

    def run(
        self,
        connection: Connection,
        asked: Sequence[Asked],
        last: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        """The answers to statements, which are run in their order, and after them `last`.

        They go to the database one behind the other where it is a way to go.
        """

    def was_made(self, turn: Sequence[Record], revision: int) -> bool | None:
        """Whether a change was committed whose end nobody told; None where that is not known.

        `turn` is what `turn` answered to it, `revision` what it raised the revision to, or 0.
        For who has the turn of this server, and raises what SQLAlchemy raises.
        """

    def telling(self, news: News) -> Iterator[Asked]:
        """The statements that let other servers hear the news as soon as they are committed."""

    def close(self) -> None:
        """Hear nothing more and close every connection."""


def named(where: str | Path) -> Database:
    """The database of a URL, or the SQLite file of a path; raises DatabaseError."""
    text = str(where)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        from vifguard.store import sqlite  # noqa: PLC0415 - a driver loads where it is needed

        return sqlite.SqliteFile(Path(rest.removeprefix("/") if separator else text))
    if scheme in {"postgresql", "postgresql+psycopg"}:
        from vifguard.store import postgresql  # noqa: PLC0415 - a driver loads where it is needed

        return postgresql.Server(text)
    raise DatabaseError(
        f"{scheme}:// is not a database of this release; use a path, sqlite:///PATH or "
        f"postgresql://USER@HOST/NAME"
    )
