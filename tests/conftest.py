"""The databases that the store is tested on."""

from collections.abc import Iterator

import pytest
from tests.databases import Databases, PostgresqlServer, SqliteFiles


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """SQLite files without a row."""
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server of this session's own."""
    with PostgresqlServer() as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite_files", "postgresql_server"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Every kind of database: a test that asks for it runs on each."""
    made: Databases = request.getfixturevalue(request.param)
    return made
