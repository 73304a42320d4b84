"""The databases that the store is tested on, signals that tests may send, and what is long."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from tests.databases import Databases, PostgresqlServer, SqliteFiles


def pytest_configure() -> None:
    """Let examples take their time, and tests interrupt their children.

    `nohup` and some CIs start us with SIGINT ignored. A signal with a handler has its
    default action in what is executed; an ignored one stays ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes is the machine's affair, and others' that use it.
    settings.register_profile("vifguard", deadline=None)
    settings.load_profile("vifguard")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what takes minutes, unless VIFGUARD_THOROUGH asks for it."""
    if int(os.environ.get("VIFGUARD_THOROUGH", "1")) > 1:
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="long: `make test-full` runs it"))


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
