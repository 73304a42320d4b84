"""A server that all tests of the command ask, and the command as its operator."""

from collections.abc import Iterator

import pytest
from command import Service, Shell, started

from vifguard.client.client import Client
from vifguard.client.feed import HttpFeed
from vifguard.feed.messages import HostReport, Report


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server without an agent, on a unix socket, for all tests that ask one."""
    directory = tmp_path_factory.mktemp("server")
    listen = f"unix:{directory}/api.sock"
    with started("serve", "--listen", listen, data_dir=directory / "data") as service:
        yield service


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server to which a host reported that it can hold security groups."""
    directory = tmp_path_factory.mktemp("groups")
    listen = f"unix:{directory}/api.sock"
    with started("serve", "--listen", listen, data_dir=directory / "data") as service:
        with Client.from_data_dir(service.data_dir) as client:
            features = frozenset({"groups"})
            about = HostReport("6.1", "ebpf", features, (), (), isolation=True)
            HttpFeed(client, "h1").report(Report("h1", about=about))
        yield service


@pytest.fixture
def vifguard(server: Service) -> Shell:
    """The command, as the operator of the server."""
    return server.shell()
