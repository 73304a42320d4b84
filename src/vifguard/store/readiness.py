"""Readiness: the database answers, can be written, and is at the migration of this release."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from vifguard.store.errors import ReplacedError, StoreError
from vifguard.store.schema import migrations
from vifguard.store.schema.tables import revision
from vifguard.store.store import Store

_TRIED_EVERY = 1.0

_PATIENCE = 0.5
"""Seconds that a caller waits for an attempt: most end in a few milliseconds."""


class WriteProbe:
    """The result of the last attempt to write, at most one a second: calls may come at any rate.

    An attempt waits for its turn behind the changes there are, in a thread of its own; a caller
    does not, and gets the result of the one before.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next_at = -math.inf
        self._why = "no write to the database has succeeded yet"
        self._ended = threading.Event()
        self._ended.set()

    def why_not(self, store: Store) -> str:
        """Why nothing can be written; empty when it can."""
        with self._lock:
            if self._ended.is_set() and self._monotonic() >= self._next_at:
                self._ended.clear()
                threading.Thread(target=self._try, args=(store,), daemon=True).start()
        self._ended.wait(_PATIENCE)
        return self._why

    def _try(self, store: Store) -> None:
        try:
            self._why = _why_unwritable(store)
        finally:
            self._next_at = self._monotonic() + _TRIED_EVERY
            self._ended.set()


def why_not_ready(store: Store, trial: WriteProbe) -> str:
    """Why the store cannot serve now; empty when it can."""
    try:
        with store.read() as snapshot:
            found = MigrationContext.configure(snapshot.connection).get_current_revision()
    except ReplacedError as error:
        return str(error)
    except (SQLAlchemyError, StoreError) as error:
        return f"the database does not answer ({type(error).__name__})"
    if found != _last():
        return f"the database is at migration {found}, and this release at {_last()}"
    return trial.why_not(store)


def _why_unwritable(store: Store) -> str:
    try:
        with store.change() as change:
            # A full disk refuses no transaction in which nothing is written, nor one that is
            # rolled back: it is written to when a transaction is committed.
            change.connection.execute(update(revision).values(value=revision.c.value))
    except StoreError as error:
        return f"the database cannot be written: {error}"
    return ""


@cache
def _last() -> str | None:
    """The last migration that this release knows."""
    return ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
