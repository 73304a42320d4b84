"""The factory of databases: from a URL or a path to a back end."""

from __future__ import annotations

from pathlib import Path

from vifguard.store.database.protocol import Database
from vifguard.store.errors import DatabaseError


def open_database(where: str | Path) -> Database:
    """The database of a URL, or the SQLite file of a path; raises DatabaseError."""
    text = str(where)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme == "sqlite":
        from vifguard.store.database import sqlite  # noqa: PLC0415 - a driver loads where it is needed

        return sqlite.SqliteDatabase(Path(rest.removeprefix("/") if separator else text))
    if scheme in {"postgresql", "postgresql+psycopg"}:
        from vifguard.store.database import postgresql  # noqa: PLC0415 - a driver loads where it is needed

        return postgresql.PostgresDatabase(text)
    raise DatabaseError(
        f"{scheme}:// is not a database of this release; use a path, sqlite:///PATH or "
        f"postgresql://USER@HOST/NAME"
    )
