"""The `openstack` command, unchanged: loaded once, and forked for each call of it."""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import Run, clean_environment


@dataclass(frozen=True)
class Openstack:
    """The command as a person with this clouds.yaml runs it inside a namespace."""

    process: subprocess.Popen[str]

    def __call__(self, *arguments: object, code: int = 0) -> Run:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(each) for each in arguments]) + "\n")
        self.process.stdin.flush()
        run = Run(*json.loads(self.process.stdout.readline()))
        assert run.code == code, f"openstack {arguments} ended with {run}"
        return run

    def json(self, *arguments: object) -> Any:
        return self(*arguments, "-f", "json").json


@contextmanager
def openstack(data_dir: Path) -> Iterator[Openstack]:
    """The command for the administrator whose clouds.yaml the server wrote."""
    environment = {
        **clean_environment(),
        "OS_CLIENT_CONFIG_FILE": str(data_dir / "clouds.yaml"),
        "OS_CLOUD": "vifguard",
    }
    with subprocess.Popen(
        [sys.executable, Path(__file__)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Openstack(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


def serve() -> None:
    """Run the command for each line of arguments."""
    warnings.simplefilter("ignore")  # Between the command and its libraries.
    from openstackclient import shell  # noqa: PLC0415 - only where it is run

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                code = shell.main(json.loads(line))
                sys.stdout.flush()
                os._exit(code or 0)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = [os.pread(file.fileno(), 1 << 24, 0).decode() for file in (out, err)]
        answers.write(json.dumps([code, *texts]) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
