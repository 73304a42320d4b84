"""A host in a namespace of its own, on which the installed command runs as root."""

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import COMMAND, Shell, clean_environment

from vifguard.agent.reporting import run_file
from vifguard.kernel.bpf import bpffs

LIMIT = 90.0


@dataclass
class Host:
    """A network namespace, a bpffs and a directory."""

    name: str
    directory: Path

    @property
    def bpf_dir(self) -> Path:
        return self.directory / "bpf" / "vifguard"

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def shell(self) -> Shell:
        return Shell({"VIFGUARD_DATA_DIR": str(self.data_dir)})

    def run(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        return subprocess.run(
            self.inside(*command), capture_output=True, text=True, check=check, timeout=LIMIT
        )

    def inside(self, *command: object) -> list[str]:
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def ip(self, *arguments: object) -> str:
        return self.run("ip", *arguments).stdout

    def master(self, interface: str) -> str:
        words = self.ip("-o", "link", "show", interface).split()
        return words[words.index("master") + 1] if "master" in words else ""

    def credential(self) -> tuple[object, ...]:
        """The options with which an agent asks as this host's; its user is made."""
        file = self.directory / "agent-password"
        if not file.exists():
            file.write_text(f"{self.name}-password\n")
            project = ("--project", "agents", "--password-file", file)
            self.shell("user", "create", self.name, "--host", self.name, *project)
        return "--password-file", file

    def down(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """`vifguard down`, which must see the host's interfaces."""
        return self.run(COMMAND, "down", "--data-dir", self.data_dir, *arguments, check=False)

    @contextmanager
    def up(self, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """`vifguard up` inside, ready; ended by SIGTERM if it still runs."""
        listen = f"unix:{self.directory}/api.sock"
        with self.started("up", "--listen", listen, *arguments, **environment) as process:
            yield process

    @contextmanager
    def unready(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """`vifguard ARGUMENTS` inside, which is not expected to be ready."""
        options = ("--listen", f"unix:{self.directory}/api.sock", "--data-dir", self.data_dir)
        pins = ("--bpf-dir", self.bpf_dir, "--host", self.name)
        process = self._spawn([COMMAND, *map(str, (*arguments, *options, *pins))], 2, {})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(LIMIT)

    @contextmanager
    def started(
        self, *arguments: object, data_dir: Path | None = None, **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        read, write = os.pipe()
        options = ("--data-dir", data_dir or self.data_dir, "--ready-fd", write)
        if arguments[0] != "serve":
            options = (*options, "--bpf-dir", self.bpf_dir, "--host", self.name)
        process = self._spawn([COMMAND, *map(str, (*arguments, *options))], write, environment)
        os.close(write)
        try:
            with os.fdopen(read) as ready:
                assert select.select([ready], [], [], LIMIT)[0], f"not ready: {self.log()}"
                assert ready.read() == "\n", f"not ready: {self.log()}"
            yield process
        finally:
            process.terminate()
            process.wait(LIMIT)

    def _spawn(
        self, command: list[str], ready: int, environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        with (self.directory / "log").open("a") as log:
            return subprocess.Popen(
                self.inside(*command),
                env={**clean_environment(), **environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(ready,),
                text=True,
            )

    def log(self) -> str:
        return (self.directory / "log").read_text()[-3000:]


def eventually(holds: Callable[[], Any]) -> Any:
    """What `holds` returns, once that is true.

    Mostly it asks by a command, which takes a twentieth of a second of a processor.
    """
    deadline = time.monotonic() + 2 * LIMIT
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@contextmanager
def host(name: str, directory: Path) -> Iterator[Host]:
    """A host; nothing of it is left afterwards."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        # Mounted here: what `ip netns exec` mounts ends with it.
        bpffs.mount(directory / "bpf")
        try:
            made = Host(name, directory)
            made.ip("link", "set", "lo", "up")
            # On in each new namespace; such a host offers no isolation, and says why.
            for table in ("iptables", "ip6tables", "arptables"):
                made.run("sysctl", "-qw", f"net.bridge.bridge-nf-call-{table}=0")
            yield made
        finally:
            bpffs.unmount(directory / "bpf")
            run_file.forget(directory / "bpf" / "vifguard")
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
