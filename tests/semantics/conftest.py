"""Ports with security groups, one of each IP version."""

import pytest
from tests.semantics.guarded import FAMILIES, FROM, TO, Port, rule


@pytest.fixture(params=FAMILIES, ids=lambda family: f"IPv{family.version}")
def port(request: pytest.FixtureRequest) -> Port:
    return Port(request.param)


@pytest.fixture
def client(port: Port) -> Port:
    """A port whose guest may open anything."""
    port.allow(rule(FROM, port.family))
    return port


@pytest.fixture
def server(port: Port) -> Port:
    """A port that may be asked for TCP port 80."""
    port.allow(rule(TO, port.family, 6, port=80))
    return port
