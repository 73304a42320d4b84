"""What an audit found: one record a frame of the catalogue, and how many of each guard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from vifguard.lab.attacks.attack import Kind
from vifguard.model.guard import Guard

LEGAL = "legal"
"""Where a guard's name stands for the frames that must pass."""


class Status(StrEnum):
    """What is said of one frame."""

    PASS = "pass"
    FAIL = "fail"
    UNTESTABLE = "untestable"


@dataclass(frozen=True, slots=True)
class Record:
    """One frame of the catalogue, and what the host did with it.

    `guard` is the guard that must refuse it, or LEGAL. `why` says what is wrong, or why it
    cannot be tested here; empty where it passed. `frame` is empty where the site could not
    even express it; `text` is the frame in one line.
    """

    guard: str
    attack: str
    variant: str
    title: str
    expected: str
    seen: str
    status: Status
    why: tuple[str, ...] = ()
    frame: bytes = b""
    text: str = ""
    published: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`attack/variant`: unique in a report."""
        return f"{self.attack}/{self.variant}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many frames of one guard (or LEGAL) were handled as they must be."""

    guard: str
    passed: int
    failed: int
    untestable: int

    @property
    def tested(self) -> int:
        """How many could be tested."""
        return self.passed + self.failed


@dataclass(frozen=True, slots=True)
class Report:
    """An audit. `interrupted` says why not everything was played, empty where it was.

    `sent` counts every frame that was sent; `seconds` is how long it took.
    """

    site: str
    level: Kind
    records: tuple[Record, ...]
    interrupted: str = ""
    sent: int = 0
    seconds: float = 0.0

    @property
    def conformant(self) -> bool:
        """Whether the host holds its level: all was played, nothing failed, legal frames passed.

        A host that lets nothing pass is not conformant, however many attacks it refused.
        """
        legal = self.tally(LEGAL)
        failed = any(record.status is Status.FAIL for record in self.records)
        return not self.interrupted and not failed and legal.passed > 0

    def tally(self, guard: str) -> Tally:
        """The figures of one guard, or of LEGAL."""
        return _tally(guard, (record for record in self.records if record.guard == guard))

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The figures of every guard that has any, in the order of the guards; LEGAL last."""
        present = {record.guard for record in self.records}
        return tuple(self.tally(guard) for guard in (*Guard, LEGAL) if guard in present)

    @property
    def total(self) -> Tally:
        """The figures of all together."""
        return _tally("all", self.records)


def _tally(guard: str, records: Iterable[Record]) -> Tally:
    statuses = [record.status for record in records]
    return Tally(
        str(guard),
        statuses.count(Status.PASS),
        statuses.count(Status.FAIL),
        statuses.count(Status.UNTESTABLE),
    )
