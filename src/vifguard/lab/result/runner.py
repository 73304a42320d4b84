"""The runner of scenarios: each in a run of its own, errors of the bench apart from faults."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from vifguard.client.errors import ClientError
from vifguard.lab.result.finding import Finding, Tell
from vifguard.lab.scenarios.scenario import Scenario
from vifguard.lab.world.lab_run import Run, run
from vifguard.lab.world.netns import LabError


@dataclass(slots=True)
class ScenarioResult:
    """A scenario that was played; `error` is the reason why it could not be played to its end."""

    scenario: Scenario
    findings: list[Finding] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether everything was as expected."""
        return not self.error and bool(self.findings) and all(each.ok for each in self.findings)


def run_scenario(scenario: Scenario, tell: Tell) -> ScenarioResult:
    """Play one scenario; nothing of it is left when this returns, however it ends."""
    result = ScenarioResult(scenario)

    def heard(finding: Finding) -> None:
        result.findings.append(finding)
        tell(finding)

    started = time.monotonic()
    with run() as this:
        try:
            scenario.play(this, heard)
        except (LabError, ClientError, OSError) as error:
            result.error = f"{error}\n{_logs(this)}".rstrip()
    result.seconds = time.monotonic() - started
    return result


def missing(scenarios: Iterable[Scenario]) -> list[str]:
    """The programs that these scenarios need and that are not here."""
    needed = {program for scenario in scenarios for program in scenario.programs}
    return sorted(program for program in needed if shutil.which(program) is None)


@contextmanager
def ending_tidily() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the process by an exception within, so that cleanup runs."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    # Signals that the parent ignores stay ignored, as `nohup` expects.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before: list[Callable[[int, FrameType | None], object] | int | None] = [
        signal.signal(number, leave) for number in numbers
    ]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _logs(this: Run) -> str:
    """The ends of the logs of the run's servers."""
    return "\n".join(
        f"{path}: {path.read_text(errors='replace')[-2000:]}"
        for path in sorted(this.directory.glob("*/log"))
    )
