"""Real processes: the command as a person runs it, against a server that it started."""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

import vifguard.cli.declared.plan
import vifguard.client.client
from vifguard.cli.main import main

COMMAND = str(Path(sys.executable).with_name("vifguard"))


@dataclass(frozen=True)
class Run:
    """What a run of the command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """A shell whose environment says where the server is.

    Each command is a process of its own, forked from this one: it has all that the command
    imports already, and a hundred commands cost seconds instead of a minute.
    """

    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, code: int | None = 0) -> Run:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                self._be_the_command([str(one) for one in arguments], out.fileno(), err.fileno())
            _, status = os.waitpid(child, 0)
            texts = [os.pread(file.fileno(), 1 << 24, 0).decode() for file in (out, err)]
        run = Run(os.waitstatus_to_exitcode(status), *texts)
        assert code is None or run.code == code, f"{arguments} ended with {run}"
        return run

    def json(self, *arguments: object) -> Any:
        return self(*arguments, "--json").json

    def _be_the_command(self, arguments: list[str], out: int, err: int) -> NoReturn:
        code: object = 70
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.stdout = os.fdopen(1, "w")
            sys.stderr = os.fdopen(2, "w")
            sys.argv = [COMMAND, *arguments]
            os.environ.clear()
            os.environ.update({**clean_environment(), **self.environment})
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException:  # noqa: BLE001  as the interpreter would
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code if isinstance(code, int) else 1)


def execute(*arguments: object, **environment: str) -> Run:
    """The installed command, started as a person starts it."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@dataclass
class Service:
    """A process of ours that said that it is ready."""

    process: subprocess.Popen[str]
    url: str
    data_dir: Path

    def shell(self) -> Shell:
        return Shell({"VIFGUARD_DATA_DIR": str(self.data_dir)})


def clean_environment() -> dict[str, str]:
    """Ours without what would point the command elsewhere."""
    return {name: value for name, value in os.environ.items() if "VIFGUARD" not in name}


@contextmanager
def started(*arguments: object, data_dir: Path, **options: Any) -> Iterator[Service]:
    """`vifguard ARGUMENTS`, once it is ready; ended by SIGTERM if it still runs."""
    read, write = os.pipe()
    log = data_dir.with_suffix(".log")
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments), "--data-dir", data_dir, "--ready-fd", str(write)],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            pass_fds=(write,),
            **options,
        )
    os.close(write)
    try:
        with os.fdopen(read) as ready:
            assert ready.read() == "\n", f"not ready; it said {log.read_text()}"
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        assert word == "READY"
        yield Service(process, url, data_dir)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


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
