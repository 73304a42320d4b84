"""`vifguard up`, `agent` and `down` on a real kernel: from nothing to enforced, and away."""

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import COMMAND, Shell, execute
from host import LIMIT, Host, eventually, host

pytestmark = pytest.mark.kernel

numbers = itertools.count(1)
FORGED = "02:00:00:00:66:66"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Host]:
    with host(f"vgcli{os.getpid()}-{next(numbers)}", tmp_path) as made:
        yield made


def plugged(machine: Host, *interfaces: str) -> None:
    """A veth for each guest: the host's end bears the name, the guest's is `g` before it."""
    for name in interfaces:
        machine.ip("link", "add", name, "type", "veth", "peer", "name", f"g{name}")
        machine.ip("link", "set", f"g{name}", "up")


def port(shell: Shell, name: str, interface: str, *options: object) -> None:
    """A port that is enforced."""
    shell("port", "create", name, "--network", "lan", "--interface", interface, *options)
    assert shell.json("port", "wait", name, "--timeout", LIMIT)["status"] == "ACTIVE"


SEND = """
import socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((sys.argv[1], 0))
    s.send(bytes.fromhex(sys.argv[2]))
"""


def send(machine: Host, interface: str, frame: bytes) -> None:
    machine.run("python3", "-c", SEND, interface, frame.hex())


def frame(source: str) -> bytes:
    """A broadcast of the experimental Ethernet type that a port may be allowed."""
    return b"\xff" * 6 + bytes.fromhex(source.replace(":", "")) + b"\x88\xb5" + bytes(46)


def await_drop(shell: Shell, name: str, reason: str) -> None:
    """Return once the command tells of a frame of the port that was dropped for this reason."""
    with subprocess.Popen(
        [COMMAND, "drops", name, "--follow", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, **shell.environment},
        text=True,
    ) as follower:
        assert follower.stdout is not None
        for line in follower.stdout:
            if json.loads(line)["reason"] == reason:
                break
        follower.send_signal(signal.SIGINT)


@pytest.fixture
def lan(machine: Host) -> Iterator[Host]:
    """A host with a server, an agent, a shared network and the ports a and b on it."""
    plugged(machine, "vga", "vgb")
    with machine.up():
        made(machine.shell)
        yield machine


def made(shell: Shell) -> None:
    shell("network", "create", "lan", "--shared", "--guard-profile", "mac")
    for name in ("a", "b"):
        port(shell, name, f"vg{name}", "--ethertype", "0x88b5")


def test_from_nothing_to_a_forged_frame_that_dies_and_is_told(lan: Host) -> None:
    shell = lan.shell
    (host_row,) = shell.json("host", "list")
    assert (host_row["name"], host_row["alive"], host_row["missing"]) == (lan.name, True, [])
    assert lan.master("vga") == lan.master("vgb") != ""
    send(lan, "gvga", frame(FORGED))
    await_drop(shell, "a", "source-mac")
    # The counts come on their own.
    eventually(lambda: [one["guard"] for one in shell.json("drops", "a")["counts"]] == ["mac"])


def test_the_guards_stay_when_it_ends_and_a_second_start_adopts_them(lan: Host) -> None:
    shell = lan.shell
    before = shell.json("port", "show", "a")
    links = pinned(lan)
    assert lan.down().returncode == 0
    assert pinned(lan) == links != {}
    assert lan.master("vga") != ""
    with lan.up():
        after = shell.json("port", "wait", "a", "--timeout", LIMIT)
        assert pinned(lan) == links
        assert after["enforced_revision"] >= before["policy_revision"]


def test_after_kill_9_the_guards_hold_and_the_next_start_adopts_them(machine: Host) -> None:
    plugged(machine, "vga", "vgb")
    with machine.up() as process:
        made(machine.shell)
        links = pinned(machine)
        process.kill()
        process.wait(LIMIT)
    assert pinned(machine) == links != {}
    with machine.up():
        machine.shell("port", "wait", "a", "--timeout", LIMIT)
        assert pinned(machine) == links


def pinned(machine: Host) -> dict[str, int]:
    """What is pinned, by name; the number of one that was made anew would be another."""
    return {str(path): path.lstat().st_ino for path in machine.bpf_dir.rglob("*")}


def test_down_with_remove_takes_all_away_after_cutting_the_guests_off(lan: Host) -> None:
    bridge = lan.master("vga")
    asked = lan.down("--remove")
    assert asked.returncode == 2
    assert "vga, vgb" in asked.stderr
    assert "--release" not in asked.stderr
    assert lan.master("vga") == bridge
    done = lan.down("--remove", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["removed"] == str(lan.bpf_dir)
    assert lan.master("vga") == ""
    assert bridge not in lan.ip("-o", "link", "show", "type", "bridge")
    assert "vifguard" not in lan.run("nft", "list", "tables").stdout
    assert not [path for path in lan.bpf_dir.rglob("*") if path.is_file()]
    again = lan.down("--remove")
    assert again.returncode == 0, again.stderr
    assert "no server or agent runs here" in again.stdout


def test_a_release_names_the_guests_whose_bridge_goes_and_asks(lan: Host) -> None:
    bridge = lan.master("vga")
    asked = lan.down("--release")
    assert asked.returncode == 2
    assert "2 interfaces lose their network: vga, vgb (they are on bridges" in asked.stderr
    assert lan.master("vga") == bridge
    done = lan.down("--release", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["released"] == {"vga": "", "vgb": ""}
    assert lan.master("vga") == ""
    assert bridge not in lan.ip("-o", "link", "show", "type", "bridge")
    assert lan.down("--release").returncode == 0


def test_guards_are_attached_as_told(machine: Host) -> None:
    def filters() -> str:
        return machine.run("tc", "filter", "show", "dev", "vga", "ingress").stdout

    plugged(machine, "vga", "vgb")
    with machine.up("--attach", "clsact"):
        made(machine.shell)
        assert "vifguard:from_guest" in filters()
        send(machine, "gvga", frame(FORGED))
        await_drop(machine.shell, "a", "source-mac")
    assert "vifguard:from_guest" in filters()
    # The other way, at the next start and at the end: what is left is found by its name.
    with machine.up():
        machine.shell("port", "wait", "a", "--timeout", LIMIT)
        eventually(lambda: "vifguard" not in filters())
        send(machine, "gvga", frame(FORGED))
        await_drop(machine.shell, "a", "source-mac")
    with machine.up("--attach", "clsact"):
        machine.shell("port", "wait", "a", "--timeout", LIMIT)
    assert "vifguard:from_guest" in filters()
    done = machine.down("--remove", "--yes")
    assert done.returncode == 0, done.stderr
    assert "vifguard" not in filters()
    assert not [path for path in machine.bpf_dir.rglob("*") if path.is_file()]


def test_another_way_to_attach_is_refused(machine: Host) -> None:
    run = execute("up", "--attach", "xdp", "--data-dir", machine.data_dir)
    assert run.code == 2
    assert "xdp" in run.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told(machine: Host, number: int) -> None:
    with machine.up() as process:
        process.send_signal(number)
        assert process.wait(10) == 0, machine.log()
    assert not (machine.directory / "api.sock").exists()
    assert "Traceback" not in machine.log()


def test_an_interface_that_is_not_there_keeps_the_port_down_and_says_so(machine: Host) -> None:
    with machine.up():
        shell = machine.shell
        shell("network", "create", "lan", "--shared")
        shell("port", "create", "p", "--network", "lan", "--interface", "vgnone")
        run = shell("port", "wait", "p", "--timeout", 0.5, code=6)
        assert "vgnone" in run.err
        assert "vgnone" in shell("port", "list").out


def test_a_physical_network_that_is_badly_named_is_refused(machine: Host) -> None:
    run = execute("up", "--physical", "physnet1", "--data-dir", machine.data_dir)
    assert run.code == 2
    assert "'physnet1' is not NAME=DEVICE" in run.err


def test_a_physical_network_is_mapped_or_hands_off(machine: Host) -> None:
    both = ("--physical", "lan=br0", "--hands-off", "lan")
    run = execute("up", *both, "--data-dir", machine.data_dir)
    assert (run.code, "say one of them" in run.err) == (2, True)
    run = execute("up", "--hands-off", "lan=br0", "--data-dir", machine.data_dir)
    assert (run.code, "'lan=br0'" in run.err) == (2, True)


@pytest.fixture
def poison(tmp_path: Path) -> Path:
    """A directory on which every library of the server's ends the process that imports it."""
    directory = tmp_path / "poison"
    for name in ("starlette", "sqlalchemy", "alembic", "uvicorn", "argon2"):
        (directory / name).mkdir(parents=True)
        (directory / name / "__init__.py").write_text("raise SystemExit(f'imported {__name__}')\n")
    return directory


def test_server_and_agent_apart_do_what_they_do_together(machine: Host, poison: Path) -> None:
    plugged(machine, "vga", "vgb")
    url = f"unix:{machine.directory}/api.sock"
    with machine.started("serve", "--listen", url):
        agent = ("agent", "--server", url, *machine.credential())
        with machine.started(*agent, PYTHONPATH=str(poison)):
            made(machine.shell)
            send(machine, "gvga", frame(FORGED))
            await_drop(machine.shell, "a", "source-mac")
        links = pinned(machine)
        assert links
        with machine.started(*agent, PYTHONPATH=str(poison)):
            machine.shell("port", "wait", "b", "--timeout", LIMIT)
            assert pinned(machine) == links


def test_the_agent_outlives_its_server_and_finds_it_again(machine: Host) -> None:
    plugged(machine, "vga", "vgb")
    url = f"unix:{machine.directory}/api.sock"
    with machine.started("serve", "--listen", url) as server:
        agent = ("agent", "--server", url, *machine.credential())
        with machine.started(*agent):
            made(machine.shell)
            server.terminate()
            server.wait(LIMIT)
            with machine.started("serve", "--listen", url):
                machine.shell("port", "set", "a", "--guard-profile", "strict")
                machine.shell("port", "wait", "a", "--timeout", LIMIT)


def test_a_second_agent_on_the_host_is_refused(machine: Host) -> None:
    with machine.up() as process:
        url = f"unix:{machine.directory}/api.sock"
        arguments = ("--server", url, *machine.credential(), "--data-dir", machine.data_dir)
        run = machine.run(COMMAND, "agent", *arguments, check=False)
        assert run.returncode == 2
        assert str(process.pid) in run.stderr


def test_this_host_is_checked_and_left_as_it_was(machine: Host) -> None:
    before = machine.ip("-o", "link"), pinned(machine)
    run = machine.run(COMMAND, "host", "check", "--bpf-dir", machine.bpf_dir, "--json")
    found = json.loads(run.stdout)
    assert found["missing"] == []
    assert found["isolation"] is True
    assert found["agent"] is None
    told = machine.run(COMMAND, "host", "check", "--bpf-dir", machine.bpf_dir).stdout
    assert "agent none runs" in " ".join(told.split())
    assert (machine.ip("-o", "link"), pinned(machine)) == before


def test_a_host_whose_own_rules_see_bridged_packets_offers_no_isolation(machine: Host) -> None:
    machine.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1")
    arguments = (COMMAND, "host", "check", "--bpf-dir", machine.bpf_dir, "--json")
    run = machine.run(*arguments, check=False)
    found = json.loads(run.stdout)
    assert run.returncode == 1
    assert found["isolation"] is False
    assert "net.bridge.bridge-nf-call-iptables=0" in found["missing"][0]


def test_a_host_whose_kernel_does_not_tell_its_types_says_so(machine: Host) -> None:
    check = (COMMAND, "host", "check", "--bpf-dir", machine.bpf_dir, "--json")
    hidden = "mount -t tmpfs none /sys/kernel/btf && exec "
    run = machine.run("unshare", "-m", "sh", "-c", hidden + " ".join(map(str, check)), check=False)
    found = json.loads(run.stdout)
    assert run.returncode == 1
    assert found["isolation"] is False
    assert any("CONFIG_DEBUG_INFO_BTF" in each for each in found["missing"]), found


def test_a_host_where_guards_cannot_be_tried_says_so() -> None:
    """Without root: the exit code is an error's, and the remedy is told."""
    drop = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = subprocess.run(
        [*drop, COMMAND, "host", "check"], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
