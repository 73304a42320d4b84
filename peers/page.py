"""docs/conformance.md: the results of each host at the catalogue, in counts a guard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_

from peers.peer import Peer
from vifguard.lab.audit.report import HARMLESS, LEGAL, Record, Report, Status
from vifguard.model.guard import Guard

_PREFACE = """\
# Conformance of real hosts

Printed by `make audit-peers`, which stands up each host below in namespaces of its own, plays
the catalogue of [attacks.md](attacks.md) at it as `vifguard audit` does with any host, from its
guests and from beyond its uplink and with no knowledge of what is inside, and takes it down.
What a guard must refuse is in [guards.md](guards.md); what conformant means, in
[drivers.md](drivers.md).

## How to read it

The hosts are configured as their makers document it best; each section says how, and where
that is written. They were made for purposes of their own. **Not promised** marks what a host's
makers never claimed of it. What they did claim is quoted in short, and is often narrower than
our guard: a count below the whole does not say that a promise was broken.

A count is *refused of played*. A refusal counts only where the legal twin of the frame, which
must pass, does pass on the same path. **Silent** are the others that nobody heard: whether a
guard refused them cannot be told, because their twin did not come through either, or because
no bridge forwards such a frame. **Legal frames** are those that must pass, *delivered of
played*. **Harmless oddities** break no guard's rule and may pass or not, but must do no harm.
**Not testable** is what these sites cannot express or the kit cannot see from outside.

Which attack is known from where is in attacks.md; what a named host lets pass is told here in
counts only."""

_NOT_RUN = "not run"
_TWIN = "its legal twin"


Reasons = Counter[str]
"""The numbers of frames that were silent or not testable, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of one peer: a report, or the reason why there is none."""

    peer: Peer
    versions: str
    report: Report | None = None
    reason: str = ""


def page(results: Sequence[Result], machine: str) -> str:
    """The whole page, in Markdown; the same but for `machine` and versions in each run."""
    parts = [_PREFACE, "## The table", f"Last run: {machine}.", "\n".join(_table(results))]
    everywhere = _everywhere(results)
    parts += _remarks("Silent or not testable at every host", everywhere)
    parts += ("\n\n".join(_section(result, everywhere)) for result in results)
    return "\n\n".join(parts) + "\n"


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield _row("guard", (result.peer.name for result in results))
    yield "|" + "---|" * (len(results) + 1)
    for guard in _played(results):
        yield _row(f"`{guard}`", (_cell(result, guard) for result in results))
    yield _row("**legal frames**", (_figure(result, LEGAL) for result in results))
    yield _row("harmless oddities", (_figure(result, HARMLESS) for result in results))
    yield _row("not testable", (_untestable(result) for result in results))
    yield _row("conformant at `strict`", (_conformant(result) for result in results))


def _played(results: Iterable[Result]) -> list[Guard]:
    """The guards of which any host was played a frame, in their order."""
    present = {
        record.guard for result in results if result.report for record in result.report.records
    }
    return [guard for guard in Guard if guard in present]


def _cell(result: Result, guard: Guard) -> str:
    parts = [_figure(result, guard)]
    if result.report is not None and (silent := _silent(result.report, guard)):
        parts.append(f"{silent} silent")
    if guard not in result.peer.promises:
        parts.append("not promised")
    return ", ".join(parts)


def _figure(result: Result, guard: str) -> str:
    if result.report is None:
        return _NOT_RUN
    tally = result.report.tally(guard)
    return f"{tally.passed}/{tally.tested}" if tally.tested else "-"


def _untestable(result: Result) -> str:
    if result.report is None:
        return _NOT_RUN
    silent = sum(_silent(result.report, guard) for guard in (*Guard, LEGAL, HARMLESS))
    return str(result.report.total.untestable - silent)


def _silent(report: Report, guard: str) -> int:
    """The number of frames of a guard that reached nobody, where that proves nothing."""
    return sum(
        record.guard == guard
        and record.status is Status.UNTESTABLE
        and record.seen.startswith("nobody heard")
        for record in report.records
    )


def _conformant(result: Result) -> str:
    if result.report is None:
        return _NOT_RUN
    return "yes" if result.report.conformant else "no"


def _section(result: Result, everywhere: Reasons) -> Iterator[str]:
    peer = result.peer
    yield f"## {peer.name}"
    yield f"Versions: {result.versions}."
    yield f"Configuration: {peer.configuration}. Source: {', '.join(map(_source, peer.sources))}."
    yield "\n".join(_promises(peer))
    yield from peer.notes
    if result.report is None:
        yield f"**Not run here**: {result.reason}"
    else:
        yield from _remarks("Silent or not testable", _reasons(result.report) - everywhere)


def _source(source: str) -> str:
    return f"<{source}>" if source.startswith("https:") else source


def _promises(peer: Peer) -> Iterator[str]:
    if not peer.promises:
        yield "Promised: nothing."
        return
    if len(set(peer.promises.values())) == 1:
        yield f"Promised: every guard, {next(iter(peer.promises.values()))}."
        return
    yield "| promised | in these words, shortened |"
    yield "|---|---|"
    for guard in Guard:
        if guard in peer.promises:
            yield f"| `{guard}` | {peer.promises[guard]} |"


def _remarks(head: str, reasons: Reasons) -> Iterator[str]:
    if reasons:
        yield f"{head}, by reason:"
        yield "\n".join(f"- {reason}: {number}" for reason, number in sorted(reasons.items()))


def _everywhere(results: Iterable[Result]) -> Reasons:
    """The reasons common to every host that ran: the kit's own limits, not the hosts'."""
    each = [_reasons(result.report) for result in results if result.report]
    if len(each) < 2:
        return Counter()
    return reduce(and_, each)


def _reasons(report: Report) -> Reasons:
    return Counter(
        _reason(report, record) for record in report.records if record.status is Status.UNTESTABLE
    )


def _reason(report: Report, record: Record) -> str:
    """The first reason, without names of a frame or a namespace of this run."""
    first = record.why[0] if record.why else "no reason was told"
    if first == report.interrupted:
        return "the audit had ended early"
    if first.startswith(_TWIN):
        return f"{_TWIN} does not pass here"
    return first.partition(":")[0]


def _row(head: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join((head, *cells))} |"
