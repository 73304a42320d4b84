"""The server's end: what those hear who wait, who ask, and who are in the midst of a change."""

import json
import os
import signal
import socket
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from command import COMMAND, Service, clean_environment, started
from tests.databases import Databases

from vifguard.cli.exit_codes import ExitCode

MANY = 60
"""Ports of one request: it takes a while, and less than the server waits for its end."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_soon_though_a_client_still_waits(data_dir: Path, number: int) -> None:
    with started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir) as service:
        shell = service.shell()
        shell("network", "create", "n", "--shared")
        port = shell.json("port", "create", "p", "--network", "n")["id"]
        with asked(service, "GET", f"ports/{port}/wait?timeout=60") as connection:
            service.process.signal(number)
            answer = everything(connection)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        assert b"\r\nretry-after: 1\r\n" in answer.lower()
        assert service.process.wait(timeout=10) == 0
    assert (data_dir / "server.pid").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_waits_ends_with_the_server(data_dir: Path, number: int) -> None:
    with started("serve", "--listen", f"unix:{data_dir}.sock", data_dir=data_dir) as service:
        shell = service.shell()
        shell("network", "create", "n", "--shared")
        shell("port", "create", "p", "--network", "n")
        environment = {**clean_environment(), **shell.environment}
        waiting = [COMMAND, "port", "wait", "p", "--timeout", "600"]
        before = sockets(service.process.pid)
        client = subprocess.Popen(waiting, env=environment, stderr=subprocess.PIPE, text=True)
        while sockets(service.process.pid) <= before:
            os.sched_yield()
        service.process.signal(number)
        assert service.process.wait(timeout=10) == 0
        _, said = client.communicate(timeout=10)
        if client.returncode != ExitCode.UNREACHABLE:  # it had connected, and not asked
            assert (client.returncode, "the server is shutting down" in said.lower()) == (
                1,
                True,
            ), said
    assert not Path(f"{data_dir}.sock").exists()


def test_a_request_that_does_not_end_is_cut_off_and_not_said_to_have_failed(
    data_dir: Path,
) -> None:
    with started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir) as service:
        with asked(service, "POST", "networks", b'{"network": {', length=100) as connection:
            service.process.signal(signal.SIGTERM)
            assert everything(connection) == b""
        assert service.process.wait(timeout=10) == 0


@contextmanager
def asked(
    service: Service, method: str, path: str, body: bytes = b"", length: int = 0
) -> Iterator[socket.socket]:
    """A connection on which the server has read a request of the operator."""
    address = urlsplit(service.url)
    password = (service.data_dir / "admin-password").read_text().strip()
    secret = b64encode(f"admin:{password}".encode()).decode()
    head = (
        f"{method} /v2.0/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode() + body)
        while unread(connection):
            os.sched_yield()
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What the other end says before it ends the connection."""
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except ConnectionResetError:
        pass
    return said


def sockets(pid: int) -> int:
    """How many a process has open."""
    names = (one.readlink().name for one in Path(f"/proc/{pid}/fd").iterdir())
    return sum(name.startswith("socket:") for name in names)


def unread(connection: socket.socket) -> bool:
    """Whether the server, on this machine, has yet to read what was sent on a connection."""
    ours, theirs = (
        f":{name[1]:04X}" for name in (connection.getsockname(), connection.getpeername())
    )
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if local.endswith(theirs) and remote.endswith(ours):
            return int(queues.partition(":")[2], 16) > 0
    return True


@pytest.mark.parametrize(
    ("number", "share"), [(signal.SIGTERM, 0.5), (signal.SIGTERM, 1), (signal.SIGKILL, 1)]
)
def test_a_change_under_way_is_made_as_a_whole_or_not_at_all(
    data_dir: Path, databases: Databases, number: int, share: float
) -> None:
    """Signalled when half of the request was read, and when all of it was."""
    with databases.fresh() as where:
        database = where if "://" in where else f"sqlite:///{where}"
        serve = ("serve", "--listen", "127.0.0.1:0", "--database", database)
        with started(*serve, data_dir=data_dir) as service:
            shell = service.shell()
            network = shell.json("network", "create", "n", "--shared")["id"]
            shell("subnet", "create", "s", "--network", "n", "--cidr", "10.0.0.0/16")
            body = json.dumps({"ports": [{"network_id": network}] * MANY}).encode()
            sent = body[: int(len(body) * share)]
            with asked(service, "POST", "ports", sent, length=len(body)) as connection:
                service.process.signal(number)
                answer = everything(connection)
            assert service.process.wait(timeout=10) == (0 if number == signal.SIGTERM else -number)
        with started(*serve, data_dir=data_dir) as service:
            there = len(service.shell().json("port", "list"))
    if number == signal.SIGTERM:
        assert (answer[:13], there) == ((b"HTTP/1.1 201 ", MANY) if share == 1 else (b"", 0))
    else:
        assert there in {0, MANY}
        assert there == MANY or not answer
