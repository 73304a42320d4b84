"""The schema's history. A released migration is never edited; a new one is added."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from vifguard.store.database.protocol import Database
from vifguard.store.errors import DatabaseError


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the database to this release, or to the migration `to` that was once the last.

    Raises DatabaseError where it is from a later release.
    """
    scripts = _scripts()
    with database.writing.begin() as connection:
        database.execute_batch(connection, database.lock_statements)
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        if current is not None and current not in {
            each.revision for each in scripts.walk_revisions()
        }:
            raise DatabaseError(
                f"the database is at migration {current!r}, which this release does not know; "
                f"run the release that wrote it, or a later one"
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)


@cache
def _scripts() -> ScriptDirectory:
    """The migrations of this release; reading them takes longer than opening a database."""
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
