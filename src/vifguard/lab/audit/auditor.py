"""The auditor: plays the catalogue at a site, and reports the fate of each frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from vifguard.lab.attacks.attack import Kind, Offload
from vifguard.lab.audit.audit_judge import Played, judged, late, untestable
from vifguard.lab.audit.harness import PATIENCE, AuditObservation, DeadError, Harness, datagram
from vifguard.lab.audit.neighbour_caches import NeighbourCaches
from vifguard.lab.audit.report import Record, Report, Status
from vifguard.lab.audit.schedule import AuditCase, Probe, cases
from vifguard.lab.audit.site import Site, SiteError, VantagePoint
from vifguard.lab.audit.transport import DryRun, NetworkTransport, Transport
from vifguard.lab.play.referee import on_one_cpu
from vifguard.lab.result.finding import Finding, Tell

RATE, LIMIT = 200.0, 600.0
"""Default rate of an audit, in frames a second, and default time limit, in seconds."""

_GRACE = 60.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One frame that would be sent: by which post, and for which frame of the catalogue."""

    post: str
    purpose: str
    frame: bytes


def audit(
    site: Site,
    tell: Tell,
    *,
    rate: float = RATE,
    limit: float = LIMIT,
    default_route: bool = False,
) -> Report:
    """Play the catalogue at a site; `tell` is called with each finding as it is made.

    At most `rate` frames a second for at most `limit` seconds. Raises SiteError where the
    site cannot be audited: a device that carries a default route is refused unless
    `default_route` allows its use, since it leads to others than the guests.
    """
    _check(site, rate, limit)
    with ExitStack() as cleanup:
        cleanup.enter_context(on_one_cpu())
        field = cleanup.enter_context(NetworkTransport(site, rate, limit + _GRACE))
        if not default_route:
            _refuse_default_routes(site, field)
        stacks = cleanup.enter_context(NeighbourCaches(site))
        return examine(site, field, tell, stacks=stacks, limit=limit)


def examine(
    site: Site,
    wire: Transport,
    tell: Tell,
    *,
    stacks: NeighbourCaches | None = None,
    limit: float = LIMIT,
    patience: float = PATIENCE,
) -> Report:
    """Play the catalogue over an open wire; a frame not received in `patience` s is lost."""
    counted = _Counted(wire)
    began = time.monotonic()
    untruths = stacks.poisoned if stacks else frozenset
    bench = Harness(site, counted, untruths, patience=patience)
    playing = _Playing(site, bench, began + limit)
    records = []
    for case in cases(site):
        record = playing.play(case)
        records.append(record)
        tell(_finding(site, record))
    records = [late(each) if each.frame in bench.late else each for each in records]
    seconds = time.monotonic() - began
    return Report(site.name, site.level, tuple(records), playing.interrupted, counted.sent, seconds)


def rehearse(site: Site) -> list[Planned]:
    """Every frame that an audit of the site would send, in order; none is sent.

    The auditor itself plays, on a dry run: there each frame reaches its addressee. At a
    real host more legal datagrams follow where one got lost.
    """
    _check(site, RATE, LIMIT)
    planned: list[Planned] = []
    purpose = "legal datagrams reach everyone"

    def planned_frame(post: VantagePoint, frame: bytes) -> None:
        planned.append(Planned(post.name, purpose, frame))

    bench = Harness(site, DryRun(site.posts, planned_frame))
    bench.prove()
    for case in cases(site):
        purpose = case.attack.variant_id(case.variant)
        if not case.why:
            _played(bench, case)
    return planned


class _Playing:
    """One audit as it goes; `interrupted` is the reason why it cannot go on."""

    def __init__(self, site: Site, bench: Harness, deadline: float) -> None:
        self._site, self._bench, self._deadline = site, bench, deadline
        self.interrupted = ""
        try:
            self._bench.prove()
        except DeadError as error:
            self.interrupted = str(error)

    def play(self, case: AuditCase) -> Record:
        """The record of a case, played if it can be."""
        if case.why:
            return untestable(case, self._site, case.why)
        if not self.interrupted and time.monotonic() > self._deadline:
            self.interrupted = "the time limit was reached"
        if self.interrupted:
            return untestable(case, self._site, self.interrupted)
        try:
            return judged(case, self._site, _played(self._bench, case))
        except DeadError as error:
            subject = case.attack.variant_id(case.variant)
            self.interrupted = f"since {subject}: {error}"
            return untestable(case, self._site, self.interrupted)


def _played(bench: Harness, case: AuditCase) -> Played:
    """Play a case cold; then, where there is a legal twin, the twin and the frame behind it."""

    def play(shot: Probe, *, legal: bool = False) -> AuditObservation:
        return bench.play(case.player, shot.frame, shot.offload, legal=legal)

    cold = play(case.shot, legal=case.is_legal)
    if case.twin is None or cold.unsent:
        return Played(cold)
    twin = play(case.twin, legal=True)
    if case.warm is not None:
        play(case.warm)
    return Played(cold, twin, play(case.shot, legal=case.is_legal))


class _Counted:
    """A wire that counts the frames it sends."""

    def __init__(self, wire: Transport) -> None:
        self._wire = wire
        self.spoken = wire.spoken
        self.sent = 0

    def send(self, post: VantagePoint, frame: bytes, offload: Offload | None = None) -> None:
        self._wire.send(post, frame, offload)
        self.sent += 1

    def receive(self, patience: float) -> list[tuple[str, bytes]]:
        return self._wire.receive(patience)


def _finding(site: Site, record: Record) -> Finding:
    failed = record.status is Status.FAIL
    return Finding(
        scenario=site.name,
        subject=record.id,
        expected=record.expected,
        seen=record.seen,
        why="" if failed else "; ".join(record.why),
        where=f"level {site.level.profile}",
        faults=record.why if failed else (),
    )


def _check(site: Site, rate: float, limit: float) -> None:
    """Raise SiteError for a site, or bounds, that make no sense."""
    if not rate > 0 or not limit > 0:
        raise SiteError(f"rate {rate:g} and limit {limit:g} must be above 0")
    if site.level is Kind.ISOLATED:
        raise SiteError("an isolated network's host is asked to hold nothing: give S, R or M")
    for what, values in (
        ("name", [post.name for post in site.posts]),
        ("MAC", [str(post.mac) for post in site.posts]),
        ("device", [str(post.reach) for post in site.posts]),
    ):
        if twice := {value for value in values if values.count(value) > 1}:
            raise SiteError(f"two posts have the same {what}: {', '.join(sorted(twice))}")
    for sender, to in _pairs(site):
        datagram(sender, to, 0)


def _pairs(site: Site) -> Iterator[tuple[VantagePoint, VantagePoint]]:
    return ((one, other) for one in site.posts for other in site.posts if one is not other)


def _refuse_default_routes(site: Site, field: NetworkTransport) -> None:
    leading = [post for post in site.posts if field.facts[post.name].default_route]
    if leading:
        names = ", ".join(f"{post.name} ({post.reach.device})" for post in leading)
        raise SiteError(
            f"a default route goes by the device of {names}: attacks would leave by it. Audit "
            "a device of the segment alone, or insist (--even-with-default-route)"
        )
