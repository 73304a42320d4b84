"""Errors of databases, translated into those of the store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from vifguard.store.errors import (
    BusyError,
    FullError,
    ReadOnlyError,
    StoreError,
    UnavailableError,
    UnstorableError,
)

_LOG = logging.getLogger(__name__)

_CODES: Final[Mapping[str, type[UnavailableError]]] = MappingProxyType(
    {
        "SQLITE_FULL": FullError,
        "SQLITE_IOERR": FullError,
        "SQLITE_READONLY": ReadOnlyError,
        "SQLITE_BUSY": BusyError,
        "53100": FullError,
        "25006": ReadOnlyError,
        "55P03": BusyError,
    }
)
"""By the names of SQLite (https://sqlite.org/rescode.html) and PostgreSQL's SQLSTATEs (its
manual, appendix A): disk_full, read_only_sql_transaction, lock_not_available."""

_BY_TEXT: Final[Mapping[type[UnavailableError], str]] = MappingProxyType(
    {
        FullError: "The disk of the database is full, or failing",
        ReadOnlyError: "The database is read-only",
        BusyError: "Another change holds the database",
    }
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise errors of drivers within the block as UnavailableError, or as UnstorableError."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        found = _store_error(error)
        if found is None:
            raise
        raise found from error


def _store_error(error: DBAPIError | PoolTimeoutError) -> StoreError | None:
    """The store's error for a database's; None for a fault of ours."""
    if isinstance(error, DataError):
        return UnstorableError(f"A value cannot be stored: {error.orig}")
    kind = _CODES.get(_code(error))
    if kind is not None:
        cause = (str(getattr(error, "orig", error)).splitlines() or [""])[0]
        _LOG.error("%s: %s", _BY_TEXT[kind], cause)
        return kind(f"{_BY_TEXT[kind]} ({cause}).")
    is_answered = isinstance(error, DBAPIError) and not error.connection_invalidated
    if is_answered and not isinstance(error, OperationalError):
        return None
    _LOG.error("the database does not answer", exc_info=error)
    return UnavailableError("The database does not answer; ask again later.")


def _code(error: DBAPIError | PoolTimeoutError) -> str:
    """The database's name or code of an error; a name of SQLite's without its refinement."""
    of_driver = getattr(error, "orig", None)
    name = getattr(of_driver, "sqlite_errorname", None) or getattr(of_driver, "sqlstate", None)
    return "_".join(str(name or "").split("_")[:2])
