"""A run leaves nothing, and what a killed one left is found and removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vifguard.kernel.bpf import bpffs
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run, alive, run, runs
from vifguard.lab.world.netns import LabError

pytestmark = pytest.mark.kernel

# A run with a namespace, a process in it, and a bpffs; then it waits to be killed.
HOLDER = """
import subprocess, sys
from vifguard.kernel.bpf import bpffs
from vifguard.lab.world import netns
from vifguard.lab.result.runner import ending_tidily
from vifguard.lab.world.lab_run import run
with ending_tidily(), run() as this:
    netns.add(this.netns("guest"))
    bpffs.mount(this.directory / "host" / "bpf")
    subprocess.Popen(["ip", "netns", "exec", this.netns("guest"), "sleep", "1000"])
    print("up", flush=True)
    sys.stdin.read()
"""


def holder() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def ended(process: subprocess.Popen[str]) -> Run:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    return Run(process.pid)


def is_gone(this: Run) -> bool:
    return not netns.named(this.prefix) and not this.directory.exists()


def test_a_living_run_is_not_taken_for_a_dead_one() -> None:
    process = holder()
    this = Run(process.pid)
    assert this in runs()
    assert alive(this)
    process.kill()
    ended(process).sweep()


def test_what_a_killed_run_left_is_removed() -> None:
    process = holder()
    process.kill()
    this = ended(process)
    assert not alive(this)
    (sleeper,) = netns.processes(this.netns("guest"))
    mount = this.directory / "host" / "bpf"
    assert bpffs.is_bpffs(mount)
    this.sweep()
    assert is_gone(this)
    assert not bpffs.is_bpffs(mount)
    assert not Path(f"/proc/{sleeper}").exists() or _is_dead(sleeper)
    assert this not in runs()


def _is_dead(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_leaves_nothing(number: signal.Signals) -> None:
    process = holder()
    process.send_signal(number)
    assert is_gone(ended(process))


def test_a_run_that_fails_leaves_nothing() -> None:
    def fail() -> None:
        with run() as this:
            netns.add(this.netns("guest"))
            raise LabError("as if")

    with pytest.raises(LabError, match="as if"):
        fail()
    assert is_gone(Run(os.getpid()))


def test_a_world_that_shall_stand_stands_until_it_is_swept() -> None:
    with run() as this:
        netns.add(this.netns("guest"))
        this.stand()
    assert netns.named(this.prefix)
    assert not alive(this)
    this.sweep()
    assert is_gone(this)
