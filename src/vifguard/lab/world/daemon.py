"""Real programs inside guests: started, looked at, killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vifguard.lab.world.netns import LabError


class Daemon:
    """A program in the foreground, in a namespace; its output goes to a file."""

    def __init__(
        self,
        netns: str,
        command: Iterable[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["ip", "netns", "exec", netns, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def said(self) -> str:
        """Its output so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL for the program and all it started: nothing is tidied up."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self, number: signal.Signals, patience: float) -> None:
        """Ask the program to end, by a signal, and give it these seconds."""
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            self._process.send_signal(number)
            self._process.wait(patience)

    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        return self._process.poll()

    def must_run(self) -> None:
        """Raise LabError, with its output, where it has ended."""
        if self.ended() is not None:
            raise LabError(f"{self.log.name} ended with {self.ended()}: {self.said[-2000:]}")
