"""What befalls a host: a wrong store, a second agent, a dead one, a disk that takes nothing."""

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command import COMMAND, Shell
from host import LIMIT, Host, eventually, host
from tests.agent.netns import within

from vifguard.enforce.ebpf.guarded_interfaces import guarded as interfaces_guarded

pytestmark = pytest.mark.kernel

numbers = itertools.count(1)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Host]:
    with host(f"vgmis{os.getpid()}-{next(numbers)}", tmp_path) as made:
        for name in ("vga", "vgb"):
            made.ip("link", "add", name, "type", "veth", "peer", "name", f"g{name}")
        yield made


def made(shell: Shell) -> None:
    """Two ports that are enforced."""
    shell("network", "create", "lan", "--shared")
    for name in ("a", "b"):
        shell("port", "create", name, "--network", "lan", "--interface", f"vg{name}", "--ungrouped")
        assert shell.json("port", "wait", name, "--timeout", LIMIT)["status"] == "ACTIVE"


def port(shell: Shell, name: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = shell.json("port", "show", name)
    return found


def guarded(machine: Host, bpf_dir: Path | None = None) -> frozenset[int]:
    """The interfaces with guards of the agent that pins in a directory."""
    root = bpf_dir or machine.bpf_dir
    found: frozenset[int] = within(machine.name, lambda: interfaces_guarded(root))
    return found


def is_guarded(machine: Host) -> bool:
    """Whether both interfaces have their guards, and are in their network's bridge."""
    return len(guarded(machine)) == 2 and machine.master("vga") == machine.master("vgb") != ""


def begun(machine: Host, data_dir: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """`vifguard up` with another data directory, which is to end by itself."""
    listen = f"unix:{machine.directory}/other.sock"
    pins = ("--bpf-dir", machine.bpf_dir, "--host", machine.name)
    return machine.run(
        COMMAND, "up", "--listen", listen, "--data-dir", data_dir, *pins, *options, check=False
    )


ELSEWHERE = ("unshare", "--net")
"""In another network namespace, from where the server's socket is reached all the same."""


def agent(
    machine: Host, data_dir: Path, *options: object, where: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """`vifguard agent` beside the one that runs, which is to end by itself."""
    server = ("--server", f"unix:{machine.directory}/api.sock")
    return machine.run(
        *where,
        COMMAND,
        "agent",
        *server,
        *machine.credential(),
        "--data-dir",
        data_dir,
        *options,
        check=False,
    )


def test_an_empty_data_directory_is_refused_where_guards_stand(machine: Host) -> None:
    """O A2: it was READY, and every guest was cut off."""
    with machine.up():
        made(machine.shell)
    empty = machine.directory / "empty"
    done = begun(machine, empty)
    assert done.returncode == 2
    assert "2 interfaces of this host are guarded" in done.stderr
    assert "--take-over" in done.stderr
    assert "READY" not in done.stdout
    assert not empty.exists()
    assert is_guarded(machine)
    with machine.up():
        assert machine.shell.json("port", "wait", "a", "--timeout", LIMIT)["status"] == "ACTIVE"


def test_another_store_is_refused_until_it_is_said_to_take_over(machine: Host) -> None:
    with machine.up():
        made(machine.shell)
    other = machine.directory / "other"
    with machine.started("serve", "--listen", f"unix:{machine.directory}/x.sock", data_dir=other):
        pass
    done = begun(machine, other)
    assert done.returncode == 2
    assert "this is the store" in done.stderr
    assert is_guarded(machine)
    with machine.started(
        "up", "--listen", f"unix:{machine.directory}/x.sock", "--take-over", data_dir=other
    ):
        eventually(lambda: not guarded(machine))


def test_a_backup_that_lacks_most_ports_takes_nothing_away(machine: Host) -> None:
    """The same identity, older rows: the agent keeps what is in force and says so."""
    with machine.up():
        machine.shell("network", "create", "other", "--shared")
    backup = machine.directory / "backup"
    shutil.copytree(machine.data_dir, backup)
    with machine.up():
        made(machine.shell)
    shutil.rmtree(machine.data_dir)
    shutil.copytree(backup, machine.data_dir)
    with machine.unready("up") as process:
        shell = machine.shell
        (said,) = eventually(lambda: _hosts(shell, lambda host: host["degraded"]))
        assert "the server knows only 0 of the 2 ports" in said["degraded"][0]
        eventually(lambda: _hosts(shell, lambda host: not host["alive"]))
        assert is_guarded(machine)
        checked = machine.run(
            COMMAND, "host", "check", "--bpf-dir", machine.bpf_dir, "--json", check=False
        )
        assert checked.returncode == 1
        assert "--take-over" in json.loads(checked.stdout)["agent"]["degraded"][0]
        assert process.poll() is None
    assert "READY" not in machine.log()
    with machine.up("--take-over"):
        eventually(lambda: not guarded(machine))


def _hosts(shell: Shell, which: Callable[[dict[str, Any]], Any]) -> list[dict[str, Any]]:
    run = shell("host", "list", "--json", code=None)
    return [each for each in run.json if which(each)] if run.code == 0 else []


def test_an_agent_that_cannot_lock_the_pins_says_nothing_to_the_server(machine: Host) -> None:
    """O A4: it printed READY and reported, and no tenant could make a group any more."""
    with machine.up():
        made(machine.shell)
        before = machine.shell.json("host", "list")
        done = agent(
            machine,
            machine.directory / "second",
            *("--bpf-dir", machine.bpf_dir, "--host", machine.name),
            where=ELSEWHERE,
        )
        assert done.returncode == 1
        assert "another process holds" in done.stderr
        assert "Traceback" not in done.stderr
        assert "READY" not in done.stdout
        (now,) = machine.shell.json("host", "list")
        counted = {"seen_at": 0, "held": [], "connections": None, "lost": {}}
        assert now | counted == before[0] | counted
        assert port(machine.shell)["status"] == "ACTIVE"


def test_a_second_agent_of_a_host_is_refused_by_the_server(machine: Host) -> None:
    with machine.up():
        made(machine.shell)
        elsewhere = machine.directory / "bpf" / "second"
        done = agent(
            machine,
            machine.directory / "second",
            *("--bpf-dir", elsewhere, "--host", machine.name),
            where=ELSEWHERE,
        )
        assert done.returncode == 1
        assert "has another agent" in done.stderr
        assert not guarded(machine, elsewhere)
        assert is_guarded(machine)
        assert port(machine.shell)["status"] == "ACTIVE"
        machine.shell("security-group", "create", "still-offered")


def test_a_second_agent_in_the_network_namespace_is_refused(machine: Host) -> None:
    """With another server, --host and --bpf-dir it took the first one's bridges away."""
    with machine.up() as process:
        made(machine.shell)
        data_dir, elsewhere = machine.directory / "second", machine.directory / "bpf" / "second"
        pins = ("--bpf-dir", elsewhere)
        done = agent(machine, data_dir, *pins, "--host", "other")
        assert done.returncode == 1
        assert f"process {process.pid} holds this network namespace" in done.stderr
        assert "Traceback" not in done.stderr
        for how in (("--release",), ("--remove", "--yes")):
            taken = machine.run(COMMAND, "down", "--data-dir", data_dir, *pins, *how, check=False)
            assert taken.returncode == 2
            assert f"process {process.pid} holds this network namespace" in taken.stderr
        assert not elsewhere.exists()
        assert is_guarded(machine)
        assert port(machine.shell)["status"] == "ACTIVE"


@contextmanager
def apart(machine: Host, **environment: str) -> Iterator[Callable[..., Any]]:
    """A server, and what starts an agent."""
    listen = f"unix:{machine.directory}/api.sock"
    with machine.started("serve", "--listen", listen, **environment):
        credential = machine.credential()
        yield lambda *more, **where: machine.started(
            "agent", "--server", listen, *credential, *more, **where
        )


def test_a_dead_agent_is_noticed_and_its_host_can_be_forgotten(machine: Host) -> None:
    """O B10: it took 110 s, and its ports stayed ACTIVE without a remark."""
    with apart(machine) as start:
        shell = machine.shell
        with start() as first:
            made(shell)
            first.kill()
            eventually(lambda: port(shell)["status"] == "DOWN")
            assert f"host {machine.name} has been silent since" in port(shell)["status_reason"]
            assert shell("port", "wait", "a", "--timeout", "0.2", code=6)
            assert shell.json("host", "list")[0]["alive"] is False
            assert is_guarded(machine)
        refused = shell("host", "delete", machine.name, code=None)
        assert refused.code == 1
        assert "2 ports are on host" in refused.err
        assert "`vifguard port set --host`, delete them, or give --force" in refused.err
        shell("host", "delete", machine.name, "--force")
        assert shell.json("host", "list") == []
        with start():
            assert shell.json("port", "wait", "a", "--timeout", LIMIT)["status"] == "ACTIVE"
            living = shell("host", "delete", machine.name, "--force", code=None)
            assert "stop its agent" in living.err


class Calendar:
    """The time of day of some processes, which libfaketime moves; the monotonic clock goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set("+0")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, moved: str) -> None:
        """Let it be so much later, or earlier."""
        self._path.write_text(f"{moved}\n")


@pytest.fixture
def calendar(tmp_path: Path) -> Calendar:
    return Calendar(tmp_path / "calendar")


def test_a_calendar_that_is_set_silences_no_host_and_keeps_none_alive(
    machine: Host, calendar: Calendar
) -> None:
    with apart(machine, **calendar.environment) as start:
        shell = machine.shell
        with start(**calendar.environment) as first:
            made(shell)
            for moved, days in (("+2d", 2), ("-2d", -2)):
                calendar.set(moved)
                now = time.time() + days * 86400
                (heard,) = eventually(lambda now=now: _hosts(shell, partial(_heard_at, now)))
                assert heard["alive"]
                assert port(shell)["status"] == "ACTIVE"
                machine.ip("link", "set", "vga", "nomaster")
                eventually(lambda: machine.master("vga"))
                eventually(lambda: "put back" in port(shell)["status_reason"])
            first.kill()
            eventually(lambda: port(shell)["status"] == "DOWN")
            assert "has been silent since" in port(shell)["status_reason"]
            assert is_guarded(machine)


def _heard_at(now: float, host: dict[str, Any]) -> bool:
    return abs(host["seen_at"] - now) < 3600


def test_an_agent_guards_though_its_data_directory_takes_nothing(machine: Host) -> None:
    """O B9: a full disk ended it with a traceback."""
    full = machine.directory / "full"
    full.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "none", full], check=True)
    try:
        # More than there is room for: dd writes what fits.
        machine.run("dd", "if=/dev/zero", f"of={full}/filler", "bs=4k", "count=9", check=False)
        with apart(machine) as start, start(data_dir=full):
            made(machine.shell)
            assert is_guarded(machine)
        assert "cannot be written" in machine.log()
        assert "Traceback" not in machine.log()
        done = begun(machine, full, "--take-over")
        assert done.returncode == 2
        assert f"{full} cannot be written: No space left" in done.stderr
    finally:
        subprocess.run(["umount", full], check=True)


def readiness(machine: Host) -> dict[str, str]:
    """What the server says of itself."""
    asked = ("curl", "-s", "--unix-socket", f"{machine.directory}/api.sock")
    found: dict[str, str] = json.loads(machine.run(*asked, "http://localhost/readyz").stdout)
    return found


def metrics(machine: Host) -> str:
    """What the server counts."""
    asked = ("curl", "-s", "--unix-socket", f"{machine.directory}/api.sock")
    return machine.run(*asked, "http://localhost/metrics").stdout


def test_a_data_directory_that_goes_under_a_living_host_is_told_of(machine: Host) -> None:
    """Changes were taken, and were in a file that had no name any more."""
    aside, copy = machine.directory / "aside", machine.directory / "copy"
    with machine.up():
        made(machine.shell)
        machine.data_dir.rename(aside)
        said = readiness(machine)
        assert said["status"] == "not ready"
        assert f"{machine.data_dir}/vifguard.db was removed or replaced" in said["reason"]
        assert "was removed or replaced" in machine.log()
        assert "vifguard_database_usable 0.0" in metrics(machine)
        assert is_guarded(machine)
        aside.rename(machine.data_dir)
        assert readiness(machine) == {"status": "ok"}
        assert "vifguard_database_usable 1.0" in metrics(machine)
        assert machine.shell.json("port", "wait", "a", "--timeout", LIMIT)["status"] == "ACTIVE"
        shutil.copytree(machine.data_dir, copy)
        shutil.rmtree(machine.data_dir)
        shutil.copytree(copy, machine.data_dir)
        refused = machine.shell("network", "create", "late", "--shared", code=None)
        assert refused.code == 1
        assert "start the server again" in refused.err
        assert is_guarded(machine)
    with machine.up():
        assert machine.shell.json("port", "wait", "a", "--timeout", LIMIT)["status"] == "ACTIVE"


def test_this_hosts_agent_is_shown_by_the_check(machine: Host) -> None:
    """O A1: the check looked at everything but the agent that runs."""

    def check(bpf_dir: Path = machine.bpf_dir) -> dict[str, Any] | None:
        run = machine.run(COMMAND, "host", "check", "--bpf-dir", bpf_dir, "--json")
        found: dict[str, Any] | None = json.loads(run.stdout)["agent"]
        return found

    assert check() is None
    with machine.up() as process:
        made(machine.shell)
        shutil.rmtree(machine.bpf_dir)
        found = eventually(lambda: (agent := check()) and agent["lost"] and agent)
        assert (found["pid"], found["host"], found["degraded"]) == (process.pid, machine.name, [])
        assert found["guards_read_back"]
        by_another_name = machine.directory / "link"
        by_another_name.symlink_to(machine.bpf_dir)
        assert (check(by_another_name) or {})["pid"] == process.pid
        assert f'vifguard_guards_lost_total{{cause="common",host="{machine.name}"}}' in metrics(
            machine
        )
    assert check() is None
