"""A host's `vifguard up`: a process of its own, in the host's namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from vifguard.client.client import Client
from vifguard.client.endpoint import Endpoint
from vifguard.kernel.bpf import bpffs
from vifguard.lab.world.netns import LabError

COMMAND = (sys.executable, "-c", "from vifguard.cli.main import main; main()")
"""The command of this very installation."""

_PATIENCE = 30.0


class Server:
    """One host's server and agent, with their own data directory, socket and bpffs."""

    def __init__(self, directory: Path, netns: str, physical: Mapping[str, str]) -> None:
        self.directory, self.netns = directory, netns
        self._physical = physical
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(mode=0o700)
        # Mounted here, since the process has a mount namespace of its own: its pins must
        # outlive it.
        bpffs.mount(directory / "bpf")

    @property
    def url(self) -> str:
        """The URL at which it listens."""
        return f"unix:{self.directory / 'api.sock'}"

    @property
    def data_dir(self) -> Path:
        """The directory in which it keeps its store and its users."""
        return self.directory / "data"

    def start(self) -> None:
        """Start it and wait until it reports that it is ready."""
        reading, writing = os.pipe()
        uplinks = [f"--physical={name}={device}" for name, device in self._physical.items()]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "ip", "netns", "exec", self.netns, *COMMAND, "up",
                    f"--data-dir={self.data_dir}", f"--listen={self.url}",
                    f"--bpf-dir={self.directory / 'bpf' / 'vifguard'}",
                    f"--host={self.directory.name}", f"--ready-fd={writing}", *uplinks,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writing,),
                start_new_session=True,
            )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as ready:
            if not ready.readline():
                raise LabError(f"`vifguard up` did not become ready:\n{self.log()}")

    def kill(self) -> None:
        """Kill it as an out-of-memory killer would: nothing is tidied up."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end; the guards stay in force."""
        self._end(signal.SIGTERM)

    def log(self) -> str:
        """The end of its log."""
        path = self.directory / "log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def operator(self) -> Client:
        """A client with the administrator's credentials."""
        return Client.from_data_dir(self.data_dir)

    def member(self, project: str) -> Client:
        """A client with the credentials of a new user of the project."""
        password = self.directory / f"password-{project}"
        password.touch(mode=0o600)
        password.write_text(os.urandom(16).hex() + "\n")
        self.command(
            "user", "create", project, f"--project={project}", f"--password-file={password}",
            f"--data-dir={self.data_dir}",
        )  # fmt: skip
        return Client(Endpoint(self.url, project, password.read_text().strip()))

    def command(self, *arguments: str) -> str:
        """The output of a `vifguard` command that must succeed."""
        return _run([*COMMAND, *arguments])

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        # `ip netns exec` became the command itself: it is our own child.
        self._process.send_signal(number)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise LabError(f"`vifguard up` did not end:\n{self.log()}") from None
        self._process = None


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command[3:])}: {done.stderr.strip()}")
    return done.stdout
