"""Whether the database can be asked, and is at the migration of this release."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from vifguard.store import migrations
from vifguard.store.errors import StoreError
from vifguard.store.store import Store


def why_not_ready(store: Store) -> str:
    """Why the store cannot serve now; empty when it can."""
    try:
        with store.read() as snapshot:
            found = MigrationContext.configure(snapshot.connection).get_current_revision()
    except (SQLAlchemyError, StoreError) as error:
        return f"the database does not answer ({type(error).__name__})"
    if found != _last():
        return f"the database is at migration {found}, and this release at {_last()}"
    return ""


@cache
def _last() -> str | None:
    """The last migration that this release knows."""
    return ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
