"""A store in a database of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.databases import Databases, SqliteFiles
from tests.store.world import Clock, World

from vifguard.store.store import Store


@contextmanager
def opened(databases: Databases, *, first_use: bool = False) -> Iterator[World]:
    """A world in an empty store; with `first_use`, in a database that no test used before.

    PostgreSQL plans by the pages of a table, and rows that were deleted leave theirs.
    """
    with databases.unmigrated() if first_use else databases.fresh() as where:
        clock = Clock()
        store = Store.open(where, clock, clock)
        try:
            yield World(store, clock, where)
        finally:
            store.close()


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    """An empty store."""
    with opened(databases) as world:
        yield world


@pytest.fixture
def fresh_world(sqlite_files: SqliteFiles) -> Any:
    """Makes an empty store each time it is called; for properties.

    These are of what is meant, wherever it is kept, and need hundreds of databases.
    """

    @contextmanager
    def make() -> Iterator[World]:
        with opened(sqlite_files) as world:
            yield world

    return make
