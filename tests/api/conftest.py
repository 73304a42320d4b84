"""A real server on loopback; each test gives it a store of its own."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from tests.api.cloud import PASSWORDS, Cloud
from tests.api.serving import served
from tests.databases import Databases

from vifguard.api.app import Application, create_app
from vifguard.api.auth.basic_auth import BasicAuth, account, write_accounts
from vifguard.store.store import Store


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> BasicAuth:
    """The users of every test; hashing a password is slow on purpose, so once."""
    path = tmp_path_factory.mktemp("users") / "users.yaml"
    write_accounts(
        path,
        [
            account(name, project, roles, name, "h1" if "agent" in roles else "")
            for name, (project, *roles) in PASSWORDS.items()
        ],
    )
    return BasicAuth(path)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, identity: BasicAuth
) -> Iterator[tuple[Application, httpx.Client]]:
    """One server for the session, and a client of it."""
    store = Store.open(tmp_path_factory.mktemp("server") / "store.db")
    app = create_app(store, identity)
    with served(app) as url, httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        yield app, http
    store.close()


@pytest.fixture
def cloud(server: tuple[Application, httpx.Client], databases: Databases) -> Iterator[Cloud]:
    """The server, without a row."""
    app, http = server
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app.state.store = store
        yield Cloud(http, store)
