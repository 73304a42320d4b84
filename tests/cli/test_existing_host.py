"""A host whose guests run on its own bridge: put under vifguard, and given back as it was."""

import functools
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import COMMAND
from existing import (
    GUESTS,
    HOSTS_OWN,
    Existing,
    adopt,
    bridges,
    command,
    forged,
    harmless,
    router_hears,
    snapshot,
)
from host import LIMIT, Host, eventually, host

pytestmark = pytest.mark.kernel

BOX = GUESTS["box"][1]
numbers = itertools.count(1)


@pytest.fixture
def existing(tmp_path: Path) -> Iterator[Existing]:
    with host(f"vgex{os.getpid()}-{next(numbers)}", tmp_path) as machine:
        made = Existing(machine)
        try:
            yield made
        finally:
            made.close()


def test_from_survey_to_release_guests_keep_their_network(
    existing: Existing, tmp_path: Path
) -> None:
    machine, plan = existing.machine, tmp_path / "adopted.yaml"
    assert all(existing.pings(guest) for guest in GUESTS)
    before = snapshot(machine)
    with existing.pinging("vm1") as counted:
        survey(existing, plan)
        rehearse(existing, plan)
        assert snapshot(machine) == before
        declare(existing, plan)
        assert snapshot(machine) == before
        with machine.up("--physical", "lan=br0", "--trust", "eno1"):
            verify(existing)
        done = machine.down("--release", "--json")
        assert done.returncode == 0, done.stderr
        released = json.loads(done.stdout)["released"]
        sent, received = counted()
    assert released == {"eno1": "br0"} | {name: "br0" for name, _, _ in GUESTS.values()} or (
        released == {name: "br0" for name, _, _ in GUESTS.values()}
    )
    assert sent - received <= sent // 100, f"{sent - received} of {sent} pings were lost"
    assert snapshot(machine) == before
    with router_hears(existing) as heard:
        existing.inside("box", *command("eth0", forged(BOX)))
        assert set(forged(BOX)) <= heard()


def survey(existing: Existing, plan: Path) -> None:
    """Every guest is found with its MAC and its address."""
    with existing.pinging("box"):
        found = adopt(existing, "-o", plan, "--listen", 2)
    assert {row["member"]: (row["is"], row["mac"]) for row in found["members"]} == {
        "eno1": ("uplink", ""),
        **{interface: ("guest", mac) for interface, mac, _ in GUESTS.values()},
    }
    assert found["host_addresses"] == [f"{HOSTS_OWN}/24"]
    ports = found["declaration"]["projects"]["operator"]["ports"]
    assert {name: port["fixed_ips"] for name, port in ports.items()} == {
        interface: [{"ip_address": f"192.168.50.{number}"}]
        for interface, _, number in GUESTS.values()
    }


def rehearse(existing: Existing, plan: Path) -> None:
    """What is forged is counted by its reason, and arrives all the same."""
    frames = harmless(BOX)
    with existing.pinging("box"), router_hears(existing) as heard:
        process = subprocess.Popen(
            ["ip", "netns", "exec", existing.space("box"), *command("eth0", frames, times=1000)]
        )
        found = adopt(existing, "-f", plan, "--listen", 0, "--rehearse", 3)["rehearsal"]
        process.kill()
        process.wait(LIMIT)
        assert set(frames) <= heard()
    reasons = {(row["member"], row["reason"]) for row in found["dropped"]}
    box = {("vethbox", reason) for reason in ("arp-sender-address", "ipv4-source", "source-mac")}
    assert box <= reasons
    assert "tvm1" not in dict(reasons)
    assert found["passed"] > 0


def test_a_rehearsal_names_who_would_be_cut_off_for_want_of_a_port(
    existing: Existing, tmp_path: Path
) -> None:
    plan = without_box(existing, tmp_path / "adopted.yaml")
    options = ("--bridge", "br0", "--trust", "eno1", "-f", plan, "--listen", 1, "--rehearse", 3)
    with existing.pinging("box"):
        done = existing.machine.run(COMMAND, "host", "adopt", *options)
    (row,) = (line for line in done.stdout.splitlines() if "cut off" in line)
    assert row.startswith("vethbox ")
    assert f"no port in {plan}: cut off" in row
    assert " 0 " not in row
    assert BOX in row
    assert "listening 1 s on br0" in done.stderr
    assert "rehearsing 3 s" in done.stderr
    found = adopt(existing, *options[4:])["rehearsal"]["cut_off"]
    assert [each["member"] for each in found] == ["vethbox"]


def test_a_guest_whose_port_was_deleted_is_cut_off_by_a_removal_too(
    existing: Existing, tmp_path: Path
) -> None:
    machine, plan = existing.machine, tmp_path / "adopted.yaml"
    with existing.pinging("box"), existing.pinging("vm1"):
        adopt(existing, "-o", plan, "--listen", 2)
    declare(existing, plan)
    with adopted(existing):
        machine.shell("port", "wait", "vethbox", "--timeout", LIMIT)
        assert existing.pings("box")
        machine.shell("port", "delete", "vethbox")
        eventually(lambda: not existing.pings("box"))
    asked = machine.down("--remove")
    assert "2 interfaces lose their network: tvm1, vethbox;" in asked.stderr
    assert "with --release these keep it: tvm1, vethbox" in asked.stderr
    assert machine.down("--remove", "--yes").returncode == 0
    assert [machine.master(each) for each in ("tvm1", "vethbox", "eno1")] == ["", "", "br0"]
    assert not existing.pings("box")


def test_a_file_that_is_there_is_written_over_only_by_force(
    existing: Existing, tmp_path: Path
) -> None:
    plan = tmp_path / "adopted.yaml"
    plan.write_text("edited: true\n")
    command = (COMMAND, "host", "adopt", "--bridge", "br0", "--listen", 0, "-o", plan)
    done = existing.machine.run(*command, check=False)
    assert (done.returncode, plan.read_text()) == (2, "edited: true\n")
    assert f"{plan} exists: overwrite it by --force" in done.stderr
    existing.machine.run(*command, "--force")
    assert "projects:" in plan.read_text()


def declare(existing: Existing, plan: Path) -> None:
    """What is declared before the agent knows the bridge takes nobody out of it."""
    shell = existing.machine.shell
    with existing.machine.up():
        shell("apply", "-f", plan)
        for port in shell.json("port", "list"):
            why = functools.partial(shell.json, "port", "show", port["id"])
            eventually(lambda why=why: "--physical lan=" in why()["status_reason"])


def verify(existing: Existing) -> None:
    """Attacks die, the host's address is nobody's, and who has no guard is named."""
    machine, shell = existing.machine, existing.machine.shell
    for interface, _, _ in GUESTS.values():
        assert shell.json("port", "wait", interface, "--timeout", LIMIT)["status"] == "ACTIVE"
    assert all(existing.pings(guest) for guest in GUESTS)
    with router_hears(existing) as heard:
        existing.inside("box", *command("eth0", forged(BOX)))
        assert existing.pings("box")
        assert not set(forged(BOX)) & heard()
    eventually(lambda: bridges(existing) and bridges(existing)[0]["addresses"] == [HOSTS_OWN])
    address = ("--fixed-ip", HOSTS_OWN, "--network", "lan")
    assert "own" in shell("port", "create", "x", *address, code=1).err
    machine.ip("link", "add", "stranger", "type", "veth", "peer", "name", "gstranger")
    machine.ip("link", "set", "stranger", "master", "br0", "up")
    eventually(lambda: bridges(existing)[0]["unguarded"] == ["stranger"])
    machine.ip("link", "del", "stranger")


def test_who_has_no_port_is_named_and_cut_off_until_the_release(
    existing: Existing, tmp_path: Path
) -> None:
    machine = existing.machine
    declare(existing, without_box(existing, tmp_path / "adopted.yaml"))
    before = snapshot(machine)
    assert unguarded(machine) == []
    with existing.pinging("vm1") as counted:
        with adopted(existing):
            eventually(lambda: not existing.pings("box"))
            for says in (
                "has no guard yet: unless a port is for it, it is cut off",
                "has no guard and will forward nothing",
            ):
                (line,) = lines(machine, "vethbox", says)
                assert all(word in line for word in ("WARNING", "br0", "--keep-unguarded"))
            assert not lines(machine, "tvm1", "has no guard and")
            shown(existing, ["vethbox"], [])
            assert unguarded(machine) == ["eno1 on br0: forwards", "vethbox on br0: dropped"]
        assert not existing.pings("box")
        with adopted(existing, "--keep-unguarded"):
            eventually(lambda: existing.pings("box"))
            shown(existing, ["vethbox"], ["vethbox"])
            assert "vethbox on br0: forwards" in unguarded(machine)
        with adopted(existing):
            eventually(lambda: not existing.pings("box"))
        asked = machine.down("--remove")
        assert asked.returncode == 2
        assert "these forward without a guard: vethbox" in asked.stderr
        assert machine.down("--release").returncode == 0
        sent, received = counted()
    assert existing.pings("box")
    assert snapshot(machine) == before
    assert sent - received <= 2, "more were lost than are under way at the end"


def without_box(existing: Existing, plan: Path) -> Path:
    """The plan of a survey, but that nobody declares a port for the box."""
    with existing.pinging("vm1"):
        found = adopt(existing, "-o", plan, "--listen", 2)["declaration"]
    found["projects"]["operator"]["ports"].pop("vethbox", None)
    plan.write_text(json.dumps(found))
    return plan


@contextmanager
def adopted(existing: Existing, *options: str) -> Iterator[None]:
    """An agent on the host's bridge, once vm1's port is in force."""
    machine = existing.machine
    with machine.up("--physical", "lan=br0", "--trust", "eno1", *options):
        machine.shell("port", "wait", "tvm1", "--timeout", LIMIT)
        yield


def lines(machine: Host, *words: str) -> list[str]:
    log = (machine.directory / "log").read_text().splitlines()
    return [line for line in log if all(word in line for word in words)]


def unguarded(machine: Host) -> list[str]:
    command = ("host", "check", "--bpf-dir", machine.bpf_dir, "--json")
    found: list[str] = json.loads(machine.run(COMMAND, *command).stdout)["unguarded"]
    return sorted(found)


def shown(existing: Existing, bare: list[str], forwarding: list[str]) -> None:
    """Until `host show` names these members, and of them those that forward."""

    def says() -> bool:
        told = [(each["unguarded"], each["forwarding"]) for each in bridges(existing)]
        return told == [(bare, forwarding)]

    eventually(says)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("lan=eno1", "lan=br0"),
        ("lan=nosuch", "no device nosuch; bridges here: br0"),
        ("lan=lo", "neither a bridge of Linux nor an Ethernet device"),
        ("lan=other", "192.0.2.1/24"),
        ("lan", "NAME=DEVICE"),
    ],
)
def test_where_a_network_cannot_leave_is_refused_at_the_start(
    existing: Existing, given: str, says: str
) -> None:
    machine = existing.machine
    machine.ip("link", "add", "other", "type", "veth", "peer", "name", "another")
    machine.ip("address", "add", "192.0.2.1/24", "dev", "other")
    before = snapshot(machine)
    done = machine.run(
        COMMAND, "up", "--data-dir", machine.data_dir, "--bpf-dir", machine.bpf_dir,
        "--listen", f"unix:{machine.directory}/api.sock", "--physical", given, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr
    assert snapshot(machine) == before
