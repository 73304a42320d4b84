"""Real processes: the command as a person runs it, against a server that it started."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

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


class Process:
    """The command in a process of its own, forked from this one.

    It has all that the command imports already: a hundred commands cost seconds instead of
    minutes. `execute` starts the installed command as a person does.
    """

    def __init__(
        self, arguments: Sequence[object], environment: Mapping[str, str], out: int, err: int
    ) -> None:
        self.code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            be_the_command([str(one) for one in arguments], environment, out, err)
        self._handle = os.pidfd_open(self.pid)

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit code, negative for a signal; fails when it lives on."""
        if self.code is None:
            assert select.select([self._handle], [], [], timeout)[0], "it did not end"
            _, status = os.waitpid(self.pid, 0)
            os.close(self._handle)
            self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def signal(self, number: int) -> None:
        signal.pidfd_send_signal(self._handle, number)

    def end(self) -> None:
        if self.code is None:
            self.signal(signal.SIGTERM)
            self.wait()


def be_the_command(
    arguments: list[str], environment: Mapping[str, str], out: int, err: int
) -> NoReturn:
    code: object = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w")
        sys.argv = [COMMAND, *arguments]
        os.environ.clear()
        os.environ.update({**clean_environment(), **environment})
        logging.getLogger().handlers.clear()  # pytest's
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


@dataclass
class Shell:
    """A shell whose environment says where the server is."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, code: int | None = 0) -> Run:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = Process(arguments, self.environment, out.fileno(), err.fileno())
            ended = process.wait()
            texts = [os.pread(file.fileno(), 1 << 24, 0).decode() for file in (out, err)]
        run = Run(ended, *texts)
        assert code is None or run.code == code, f"{arguments} ended with {run}"
        return run

    def json(self, *arguments: object) -> Any:
        return self(*arguments, "--json").json


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

    process: Process
    url: str
    data_dir: Path

    def shell(self) -> Shell:
        return Shell({"VIFGUARD_DATA_DIR": str(self.data_dir)})


def clean_environment() -> dict[str, str]:
    """Ours without what would point the command elsewhere."""
    return {name: value for name, value in os.environ.items() if "VIFGUARD" not in name}


@contextmanager
def started(*arguments: object, data_dir: Path) -> Iterator[Service]:
    """`vifguard ARGUMENTS`, once it is ready; ended by SIGTERM if it still runs."""
    read, write = os.pipe()
    out, log = data_dir.with_suffix(".out"), data_dir.with_suffix(".log")
    options = ("--data-dir", data_dir, "--ready-fd", write)
    with out.open("w") as stdout, log.open("a") as stderr:
        process = Process((*arguments, *options), {}, stdout.fileno(), stderr.fileno())
    os.close(write)
    try:
        with os.fdopen(read) as ready:
            assert ready.read() == "\n", f"not ready; it said {log.read_text()}"
        word, url = out.read_text().split()
        assert word == "READY"
        yield Service(process, url, data_dir)
    finally:
        process.end()
