"""docs/conformance.md: what each host made of the catalogue, in counts a guard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from peers.peer import Peer
from vifguard.lab.audit.report import LEGAL, Record, Report, Status
from vifguard.model.guard import Guard

_PREFACE = """\
# Conformance of real hosts

Printed by `make audit-peers`, which stands up each host below in namespaces of its own, plays
the catalogue of [attacks.md](attacks.md) at it as `vifguard audit` does with any host, from one
guest and with no knowledge of what is inside, and takes it down. What a guard must refuse is
in [guards.md](guards.md); what conformant means, in [drivers.md](drivers.md).

The hosts are configured as their makers document it best; each section says how. They were
made for purposes of their own: **not promised** marks what a host's makers never claimed of
it, by the documents named. A count is *refused of played*: of the frames of a guard that must
be refused, how many were. A refusal counts only where the legal twin of the frame passes on
the same path; where it does not, the frame is *not testable*. *legal frames* are those that
must pass, *delivered of played*. What an attack is, and that it is published, is in
attacks.md; which host lets which one pass is told here in counts only."""

_NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one peer: a report, or the reason why there is none."""

    peer: Peer
    versions: str
    report: Report | None = None
    reason: str = ""


def page(results: Sequence[Result], machine: str) -> str:
    """The whole page, in Markdown; the same but for `machine` and versions in each run."""
    parts = [_PREFACE, f"Last run: {machine}.", "\n".join(_table(results))]
    parts += ("\n\n".join(_section(result)) for result in results)
    return "\n\n".join(parts) + "\n"


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield _row("guard", (result.peer.name for result in results))
    yield "|" + "---|" * (len(results) + 1)
    for guard in _played(results):
        yield _row(f"`{guard}`", (_cell(result, guard) for result in results))
    yield _row("**legal frames**", (_figure(result, LEGAL) for result in results))
    yield _row("not testable", (_untestable(result) for result in results))
    yield _row("conformant at `strict`", (_conformant(result) for result in results))


def _played(results: Iterable[Result]) -> list[Guard]:
    """The guards of which any host was played a frame, in their order."""
    present = {
        record.guard for result in results if result.report for record in result.report.records
    }
    return [guard for guard in Guard if guard in present]


def _cell(result: Result, guard: Guard) -> str:
    figure = _figure(result, guard)
    return figure if guard in result.peer.promises else f"{figure}, not promised"


def _figure(result: Result, guard: str) -> str:
    if result.report is None:
        return _NOT_RUN
    tally = result.report.tally(guard)
    return f"{tally.passed}/{tally.tested}" if tally.tested else "-"


def _untestable(result: Result) -> str:
    return _NOT_RUN if result.report is None else str(result.report.total.untestable)


def _conformant(result: Result) -> str:
    if result.report is None:
        return _NOT_RUN
    return "yes" if result.report.conformant else "no"


def _section(result: Result) -> Iterator[str]:
    peer = result.peer
    yield f"## {peer.name}"
    yield f"Versions: {result.versions}."
    yield f"Configuration: {peer.configuration}. Source: {', '.join(map(_source, peer.sources))}."
    yield "\n".join(_promises(peer))
    yield from peer.notes
    if result.report is None:
        yield f"**Not run here**: {result.reason}"
    else:
        yield from _remarks(result.report)


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


def _remarks(report: Report) -> Iterator[str]:
    """Why frames were not testable, and whether the audit came to its end."""
    untestable = [record for record in report.records if record.status is Status.UNTESTABLE]
    reasons = Counter(_reason(report, record) for record in untestable)
    if reasons:
        yield "Not testable, by reason:"
        yield "\n".join(f"- {reason}: {number}" for reason, number in sorted(reasons.items()))


def _reason(report: Report, record: Record) -> str:
    # What ended an audit early names the frame after which the host was dead: a recipe.
    first = record.why[0] if record.why else "no reason was told"
    return "the audit had ended early" if first == report.interrupted else first


def _row(head: str, cells: Iterable[str]) -> str:
    return f"| {' | '.join((head, *cells))} |"
