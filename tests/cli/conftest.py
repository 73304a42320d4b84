"""A server that all tests of the command ask, and the command as its operator."""

from collections.abc import Iterator

import pytest
from command import Service, Shell, started


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server without an agent, on a unix socket, for all tests that ask one."""
    directory = tmp_path_factory.mktemp("server")
    listen = f"unix:{directory}/api.sock"
    with started("serve", "--listen", listen, data_dir=directory / "data") as service:
        yield service


@pytest.fixture
def vifguard(server: Service) -> Shell:
    """The command, as the operator of the server."""
    return server.shell()
