"""A store in a file of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.store.world import Clock, World

from vifguard.store.store import Store


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated database without a row, to copy: migrating costs more than most tests."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    store = Store.open(path)
    store.close()
    return path.read_bytes()


@pytest.fixture
def world(tmp_path: Path, empty_database: bytes) -> Iterator[World]:
    """An empty store."""
    path = tmp_path / "store.db"
    path.write_bytes(empty_database)
    clock = Clock()
    store = Store.open(path, clock)
    yield World(store, clock)
    store.close()


@pytest.fixture
def fresh_world(tmp_path: Path, empty_database: bytes) -> Any:
    """Makes an empty store each time it is called; for properties."""
    made = iter(range(10**6))

    @contextmanager
    def make() -> Iterator[World]:
        path = tmp_path / f"store-{next(made)}.db"
        path.write_bytes(empty_database)
        clock = Clock()
        store = Store.open(path, clock)
        try:
            yield World(store, clock)
        finally:
            store.close()
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()

    return make
