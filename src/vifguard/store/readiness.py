"""Whether the database can be asked, and is at the migration of this release."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from vifguard.store import migrations
from vifguard.store.errors import ReplacedError, StoreError
from vifguard.store.store import Store
from vifguard.store.tables import revision


def why_not_ready(store: Store) -> str:
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
    try:
        with store.change() as change:
            # A full disk refuses no transaction in which nothing is written.
            change.connection.execute(update(revision).values(value=revision.c.value))
    except StoreError as error:
        return f"the database cannot be written: {error}"
    return ""


@cache
def _last() -> str | None:
    """The last migration that this release knows."""
    return ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
