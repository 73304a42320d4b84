"""What a host reports, as the command shows it; the host is played by its agent's user."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from command import Process, Service, Shell

from vifguard.cli.times import moment
from vifguard.client.client import Client
from vifguard.client.endpoint import Endpoint
from vifguard.feed.codec import encode
from vifguard.feed.messages import DropCount, DropRecord, HostReport, PortReport, Report
from vifguard.model.guard import Guard
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason

HOST = "played"
ABOUT = HostReport(
    "6.18", "ebpf", frozenset({"tcx"}), ("memory: none left",), ("bridge",), isolation=True
)


@pytest.fixture
def agent(server: Service) -> Client:
    password = (server.data_dir / "agent-password").read_text().strip()
    return Client(Endpoint(server.url, "agent", password))


@pytest.fixture
def port(vifguard: Shell) -> dict[str, Any]:
    vifguard("network", "create", "reported", "--shared")
    made: dict[str, Any] = vifguard.json(
        "port", "create", "reported", "--network", "reported", "--host", HOST
    )
    yield made
    vifguard("port", "delete", made["id"])
    vifguard("network", "delete", "reported")


def deliver(agent: Client, **parts: Any) -> None:
    report = Report(HOST, **parts)
    agent.call("POST", f"feed/{HOST}/reports", body=encode(report))


def drop(port: dict[str, Any], at: float, reason: Reason = Reason.SOURCE_MAC) -> DropRecord:
    return DropRecord(port["id"], at, Direction.FROM_GUEST, Guard.MAC, reason, 60, b"\xff" * 14)


def test_a_host_is_listed_and_shown(agent: Client, vifguard: Shell) -> None:
    deliver(agent, about=ABOUT)
    (host,) = vifguard.json("host", "list")
    assert vifguard.json("host", "show", HOST) == host
    assert host["missing"] == ["memory: none left"]
    assert "memory: none left" in vifguard("host", "list").out
    assert f"seen_at {moment(host['seen_at'])}" in " ".join(
        vifguard("host", "show", HOST).out.split()
    )
    assert vifguard("host", "show", "unknown", code=3).out == ""


def test_waiting_returns_once_the_host_says_so(
    agent: Client, vifguard: Shell, port: dict[str, Any]
) -> None:
    deliver(agent, about=ABOUT)
    held = PortReport(port["id"], port["policy_revision"], PortState.ENFORCED, "tap0")
    deliver(agent, ports=(held,))
    waited = vifguard.json("port", "wait", "reported", "--timeout", 5)
    assert waited["status"] == "ACTIVE"
    vifguard("port", "set", "reported", "--guard-profile", "mac")
    run = vifguard("port", "wait", "reported", "--timeout", 0, code=6)
    assert "revision" in run.err


def test_drops_are_shown_with_port_guard_and_reason(
    agent: Client, vifguard: Shell, port: dict[str, Any]
) -> None:
    count = DropCount(port["id"], Direction.FROM_GUEST, Guard.MAC, 7)
    deliver(agent, drops=(drop(port, 1.5),), counts=(count,))
    found = vifguard.json("drops", "reported")
    assert [one["reason"] for one in found["drops"]] == ["source-mac"]
    assert found["counts"][0]["frames"] == 7
    for arguments in (("drops",), ("drops", "reported")):
        text = vifguard(*arguments).out
        assert "source-mac" in text
        assert "reported" in text
    unknown = vifguard("drops", "unknown", code=3)
    assert unknown.out == ""
    assert "there is no port 'unknown'" in unknown.err
    assert "vifguard host show" in unknown.err


def test_following_prints_each_record_once_as_it_comes(
    agent: Client, server: Service, port: dict[str, Any], tmp_path: Path
) -> None:
    deliver(agent, drops=(drop(port, 1.0),))
    read, write = os.pipe()
    environment = {"VIFGUARD_DATA_DIR": str(server.data_dir)}
    with (tmp_path / "err").open("w") as err:
        arguments = ("drops", "reported", "--follow", "--json")
        process = Process(arguments, environment, write, err.fileno())
    os.close(write)
    with os.fdopen(read) as lines:
        first = lines.readline()
        deliver(agent, drops=(drop(port, 2.0, Reason.TAGGED),))
        second = lines.readline()
        process.signal(signal.SIGINT)
        assert process.wait() == 130
        assert lines.read() == ""
    assert "source-mac" in first
    assert "tagged" in second
