"""What a host reports, as the command shows it; the host is played by its agent's user."""

import os
import re
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command import Process, Service, Shell

from vifguard.cli.show.times import moment
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
    shell = server.shell()
    if HOST not in {each["name"] for each in shell.json("user", "list")}:
        shell("user", "create", HOST, "--host", HOST, "--project", "agents")
    password = shell.json("user", "set-password", HOST)["password"]
    return Client(Endpoint(server.url, HOST, password))


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
    listed = vifguard("host", "list").out
    assert " memory " in listed
    assert max(map(len, listed.splitlines())) <= 100
    assert "memory: none left" in vifguard("host", "show", HOST).out
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
        run = vifguard(*arguments)
        assert "source-mac" in run.out
        assert "reported" in run.out
        # Three tables that look alike have a title each, beside the data.
        titles = ("frames dropped, by guard:", "kinds of drops, by the records", "latest records:")
        assert all(title in run.err and title not in run.out for title in titles)
    told = " ".join(vifguard("drops", "--help").out.split())
    assert "not every frame is recorded" in told
    assert "from-guest: the port's guest sent it" in told
    unknown = vifguard("drops", "unknown", code=3)
    assert unknown.out == ""
    assert "there is no port 'unknown'" in unknown.err
    assert "vifguard host show" in unknown.err


def test_drops_are_counted_by_kind_and_narrowed(
    agent: Client, vifguard: Shell, port: dict[str, Any]
) -> None:
    now = time.time()
    others = [drop(port, now - 500 + at, Reason.TAGGED) for at in range(3)]
    deliver(agent, drops=(*others, drop(port, now)))
    text = vifguard("drops", "reported").out
    (row,) = [line for line in text.splitlines() if re.search(r"tagged +3$", line)]
    assert row.startswith(f"{moment(others[0].at)}  {moment(others[2].at)}")
    for options in (
        ("--reason", "source-mac"),
        ("--since", "5m"),
        ("--since", datetime.fromtimestamp(now - 60, UTC).isoformat()),
        ("--guard", "mac", "--guard", "arp", "--direction", "from-guest", "--limit", 1),
    ):
        found = vifguard.json("drops", "reported", *options)["drops"]
        assert [one["reason"] for one in found] == ["source-mac"]
    nothing = vifguard("drops", "reported", "--direction", "to-guest")
    assert (nothing.out, "no frame" in nothing.err) == ("", True)
    assert "10m" in vifguard("drops", "--since", "lately", code=2).err
    assert "source-mac" in vifguard("drops", "--reason", "because", code=1).err


def test_a_project_sees_the_drops_of_its_own_ports(
    agent: Client, vifguard: Shell, port: dict[str, Any], tmp_path: Path
) -> None:
    vifguard(
        "user", "create", "tenant", "--project", "t", "--clouds-file", tmp_path / "clouds.yaml"
    )
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    made = tenant.json("port", "create", "own", "--network", "reported")
    vifguard("port", "set", made["id"], "--host", HOST)
    deliver(agent, drops=(drop(port, 1.0), drop(made, 2.0)))
    assert {one["port_id"] for one in tenant.json("drops")["drops"]} == {made["id"]}
    assert "own" in tenant("drops").out
    nobody = tenant("drops", "unknown", code=3).err
    assert "there is no port 'unknown'" in nobody
    assert "host show" not in nobody
    tenant("port", "delete", "own")
    vifguard("user", "delete", "tenant")


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
