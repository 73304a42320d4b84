"""The server's life: first start, second start, end; and what is left behind."""

import signal
import subprocess
from pathlib import Path

import openstack
import pytest
from command import COMMAND, Shell, execute, started

from vifguard.client.client import Client


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def modes(directory: Path) -> dict[str, int]:
    return {one.name: one.stat().st_mode & 0o777 for one in directory.iterdir()}


def test_the_first_start_makes_credentials_that_are_private_and_work(data_dir: Path) -> None:
    with started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir) as service:
        assert data_dir.stat().st_mode & 0o777 == 0o700
        found = modes(data_dir)
        assert {"users.yaml", "admin-password", "clouds.yaml"} <= set(found)
        assert set(found.values()) == {0o600}
        assert service.url.startswith("http://127.0.0.1:")
        assert service.shell().json("network", "list") == []


# The library warns of its own optional parts.
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_clouds_yaml_serves_other_clients_as_it_is(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir):
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(data_dir / "clouds.yaml"))
        with openstack.connect(cloud="vifguard") as cloud:
            made = cloud.network.create_network(name="theirs", shared=True)
            assert [one.id for one in cloud.network.networks()] == [made.id]


def test_a_second_start_is_refused_and_harms_nothing(data_dir: Path) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock")
    with started(*listen, data_dir=data_dir) as service:
        second = execute(*listen, "--data-dir", data_dir)
        assert second.code == 2
        assert str(service.process.pid) in second.err
        assert service.shell().json("network", "list") == []


def test_a_restart_keeps_objects_and_passwords_and_tells_the_new_address(data_dir: Path) -> None:
    with started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir) as service:
        service.shell()("network", "create", "kept", "--shared")
        password = (data_dir / "admin-password").read_text()
    with started("serve", "--listen", f"unix:{data_dir}.sock", data_dir=data_dir) as service:
        assert [one["name"] for one in service.shell().json("network", "list")] == ["kept"]
    assert (data_dir / "admin-password").read_text() == password


def test_after_kill_9_the_next_start_needs_no_help(data_dir: Path) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock")
    with started(*listen, data_dir=data_dir) as service:
        service.shell()("network", "create", "kept", "--shared")
        service.process.signal(signal.SIGKILL)
        assert service.process.wait() == -signal.SIGKILL
    assert Path(f"{data_dir}.sock").is_socket()
    with started(*listen, data_dir=data_dir) as service:
        assert [one["name"] for one in service.shell().json("network", "list")] == ["kept"]


def test_a_directory_that_others_can_enter_is_refused_and_not_changed(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    run = execute("serve", "--listen", f"unix:{data_dir}.sock", "--data-dir", data_dir)
    assert run.code == 2
    assert f"chmod 700 {data_dir}" in run.err
    assert data_dir.stat().st_mode & 0o777 == 0o755
    assert not list(data_dir.iterdir())


@pytest.mark.parametrize(
    ("listen", "words"),
    [("192.0.2.1:9696", "--insecure-listen"), ("nowhere", "nowhere"), ("127.0.0.1:x", "HOST:PORT")],
)
def test_a_place_to_listen_that_will_not_do_is_told_before_anything_is_made(
    data_dir: Path, listen: str, words: str
) -> None:
    run = execute("serve", "--listen", listen, "--data-dir", data_dir)
    assert run.code == 2
    assert words in run.err
    assert not (data_dir / "users.yaml").exists()


def test_down_ends_it_and_says_which(data_dir: Path) -> None:
    with started("serve", "--listen", f"unix:{data_dir}.sock", data_dir=data_dir) as service:
        down = Shell({"VIFGUARD_DATA_DIR": str(data_dir)})
        assert down.json("down")["stopped"] == [service.process.pid]
        assert service.process.wait(timeout=10) == 0
        assert "no server or agent runs here" in down("down").out
        assert down.json("down")["stopped"] == []


def test_down_ends_nobody_whose_pid_was_in_an_old_file(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    with subprocess.Popen(["sleep", "600"]) as bystander:
        (data_dir / "server.pid").write_text(f"{bystander.pid}\n")
        run = Shell({"VIFGUARD_DATA_DIR": str(data_dir)})("down")
        assert "no server or agent runs here" in run.out
        assert bystander.poll() is None
        bystander.kill()


def test_a_first_start_that_died_half_way_is_made_good(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    (data_dir / "admin-password").write_text("of the start that died\n")
    (data_dir / "admin-password").chmod(0o600)
    with started("serve", "--listen", f"unix:{data_dir}.sock", data_dir=data_dir) as service:
        assert service.shell().json("network", "list") == []
    assert "died" not in (data_dir / "admin-password").read_text()


def test_a_password_that_the_operator_took_away_is_not_written_again(data_dir: Path) -> None:
    listen = ("serve", "--listen", f"unix:{data_dir}.sock")
    with started(*listen, data_dir=data_dir):
        pass
    (data_dir / "admin-password").unlink()
    (data_dir / "clouds.yaml").unlink()
    with started(*listen, data_dir=data_dir):
        assert not (data_dir / "clouds.yaml").exists()
        assert not (data_dir / "admin-password").exists()


def test_the_help_is_there_before_one_has_looked_away() -> None:
    """What makes it slow is imports: those that a person never waits for are not made."""
    heavy = ("httpx", "starlette", "sqlalchemy", "uvicorn", "yaml", "cattrs")
    script = f"import sys, vifguard.cli.main; print([one for one in {heavy} if one in sys.modules])"
    python = Path(COMMAND).with_name("python")
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_change_has_a_connection_of_its_own(data_dir: Path) -> None:
    """A kept connection that the server ends just then would lose a request: reads share one."""
    with (
        started("serve", "--listen", "127.0.0.1:0", data_dir=data_dir) as service,
        Client.from_data_dir(service.data_dir) as client,
    ):
        for _ in range(20):
            client.call("GET", "networks")
            client.call("POST", "address-groups", body={"address_group": {"name": "some"}})
        table = Path(f"/proc/{service.process.pid}/net/tcp").read_text().split("\n")[1:-1]
        port = f":{int(service.url.rpartition(':')[2]):04X}"
        open_here = [line for line in table if port in line.split()[1] and line.split()[3] == "01"]
        assert len(open_here) <= 1
