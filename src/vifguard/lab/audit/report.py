"""The report of an audit: one record a frame of the catalogue, and the figures by guard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from vifguard.lab.attacks.attack import Kind
from vifguard.model.guard import Guard

LEGAL, HARMLESS = "legal", "harmless"
"""In a guard's place: the legal frames, which must pass; and odd ones that no guard of the
level objects to, which may."""


_NAMES = {LEGAL: "legal frames", HARMLESS: "harmless oddities"}


class Status(StrEnum):
    """The status of one frame."""

    PASS = "pass"
    FAIL = "fail"
    UNTESTABLE = "untestable"


@dataclass(frozen=True, slots=True)
class Record:
    """One frame of the catalogue, and its fate at the host.

    `guard` is the guard that must refuse it, or LEGAL, or HARMLESS. `why` has the faults, or the
    reason why it cannot be tested here; empty where it passed. `frame` is empty where the site
    could not even express it; `text` is the frame in one line.
    """

    guard: str
    attack: str
    variant: str
    title: str
    expected: str
    seen: str
    status: Status
    why: tuple[str, ...] = ()
    frame: bytes = field(default=b"", repr=False)
    text: str = ""
    published: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`attack/variant`: unique in a report."""
        return f"{self.attack}/{self.variant}"


@dataclass(frozen=True, slots=True)
class Tally:
    """The frames of one guard (or LEGAL, or HARMLESS), counted by status."""

    guard: str
    passed: int
    failed: int
    untestable: int

    @property
    def tested(self) -> int:
        """The number of frames that could be tested."""
        return self.passed + self.failed


@dataclass(frozen=True, slots=True)
class Report:
    """An audit. `interrupted` is the reason why not everything was played, empty where it was.

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
        """Whether the host holds its level: all was played, nothing failed, something is proved.

        A host that lets nothing pass is not conformant, however many attacks it refused.
        """
        return not self.interrupted and not self.total.failed and self._is_proved

    @property
    def _is_proved(self) -> bool:
        refused = sum(self.tally(guard).passed for guard in Guard)
        return refused > 0 and self.tally(LEGAL).passed > 0

    @property
    def verdict(self) -> str:
        """One sentence for the whole."""
        level = self.level.profile
        if self.interrupted:
            return f"Not everything could be played: {self.interrupted}."
        if failed := self.total.failed:
            return f"Not conformant at level {level}: {failed} frames failed."
        if not self._is_proved:
            return "Nothing is proved: no legal frame passed, or no attack could be tested."
        return f"Conformant at level {level}, as far as it can be seen from here."

    def tally(self, guard: str) -> Tally:
        """The figures of one guard, of LEGAL or of HARMLESS."""
        return _tally(guard, (record for record in self.records if record.guard == guard))

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The figures of every guard that has any, in their order; then LEGAL and HARMLESS."""
        present = {record.guard for record in self.records}
        return tuple(self.tally(guard) for guard in (*Guard, LEGAL, HARMLESS) if guard in present)

    @property
    def figures(self) -> tuple[tuple[str, Tally], ...]:
        """The lines that a person reads: a name and its figures each; the total last."""
        lines = [(_NAMES.get(tally.guard, tally.guard), tally) for tally in self.tallies]
        return (*lines, ("all", self.total))

    @property
    def total(self) -> Tally:
        """The figures of all together."""
        return _tally("all", self.records)


def shortened(frame: bytes, most: int) -> str:
    """The frame in hex, or its first octets and how many there are."""
    if len(frame) <= most:
        return frame.hex()
    return f"{frame[:most].hex()}... ({len(frame)} octets)"


def _tally(guard: str, records: Iterable[Record]) -> Tally:
    statuses = [record.status for record in records]
    return Tally(
        str(guard),
        statuses.count(Status.PASS),
        statuses.count(Status.FAIL),
        statuses.count(Status.UNTESTABLE),
    )
