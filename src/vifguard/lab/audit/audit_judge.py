"""The judge of an audit: makes the record of a frame from its effects. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vifguard.lab.attacks.attack import Outcome
from vifguard.lab.audit.harness import AuditObservation
from vifguard.lab.audit.report import HARMLESS, LEGAL, Record, Status
from vifguard.lab.audit.schedule import AuditCase, is_stray, unheard
from vifguard.lab.audit.site import Site, VantagePoint
from vifguard.packet.describe import describe


@dataclass(frozen=True, slots=True)
class Played:
    """The effects of a case: cold, of its twin, and again behind the twin."""

    cold: AuditObservation
    twin: AuditObservation | None = None
    again: AuditObservation | None = None


def judged(case: AuditCase, site: Site, played: Played) -> Record:
    """The record of a case that was played."""
    plays = [("", played.cold)]
    if played.again is not None:
        plays.append(("after a legal frame: ", played.again))
    word = _word(plays)
    faults = [when + fault for when, seen in plays for fault in _faults(case, site, seen)]
    if faults:
        return _record(case, site, Status.FAIL, word, tuple(faults))
    if why := _proves_nothing(case, site, played):
        return _record(case, site, Status.UNTESTABLE, word, (why,))
    return _record(case, site, Status.PASS, word)


def late(record: Record) -> Record:
    """The final record of a frame that a post received later than awaited."""
    if record.status is Status.FAIL or record.guard in {LEGAL, HARMLESS}:
        return record
    return replace(record, status=Status.FAIL, seen="heard late", why=("delivered after a while",))


def untestable(case: AuditCase, site: Site, why: str) -> Record:
    """The record of a case that cannot be played."""
    return _record(case, site, Status.UNTESTABLE, "not played", (why,))


def undelivered(
    site: Site, player: VantagePoint, frame: bytes, seen: AuditObservation
) -> list[str]:
    """Faults: the posts that a frame that passes should have reached and did not."""
    if seen.served:
        return []
    must = [post for post in site.posts if post is not player and _is_to(frame, post)]
    lost = [f"not delivered to the {post.name}" for post in must if post.name not in seen.heard]
    # A host may hand a multicast only to the members of its group.
    is_multicast = bool(frame[0] & 1) and frame[:6] != _EVERYONE
    return [] if is_multicast and len(lost) < len(must) else lost


def strayed(site: Site, player: VantagePoint, frame: bytes, seen: AuditObservation) -> list[str]:
    """Faults: the posts that a frame that passes reached and should not have."""
    # Nothing guards beyond the uplink: a frame to no post may go there.
    guests = [post for post in site.posts if post is not player and post is not site.outside]
    return [
        f"delivered to the {post.name}, to whom it is not addressed"
        for post in guests
        if post.name in seen.heard and not _is_to(frame, post)
    ]


_EVERYONE = b"\xff" * 6


def _is_to(frame: bytes, post: VantagePoint) -> bool:
    return bool(frame[0] & 1) or frame[:6] == post.mac.octets


def _faults(case: AuditCase, site: Site, seen: AuditObservation) -> list[str]:
    if seen.unsent:
        return []
    if case.must_drop:
        return list(_faults_of_attack(seen))
    frame = case.shot.frame
    faults = strayed(site, case.player, frame, seen)
    if case.is_legal:
        faults += undelivered(site, case.player, frame, seen)
    if case.shot.offload is None or not case.shot.offload.gso:
        counts = Counter(seen.heard)
        faults += [f"delivered {n} times to the {name}" for name, n in counts.items() if n > 1]
    # At a level that does not guard ARP or ND, stacks may believe forged frames that pass.
    return faults + list(seen.moved)


def _faults_of_attack(seen: AuditObservation) -> Iterator[str]:
    if heard := tuple(dict.fromkeys(seen.heard)):
        yield f"delivered to the {', '.join(heard)}"
    yield from seen.moved
    yield from seen.poisoned


def _proves_nothing(case: AuditCase, site: Site, played: Played) -> str:
    """Why the effects prove nothing about the host; empty if they do."""
    if played.cold.unsent:
        return f"the {case.player.name}'s device refuses to send it: {played.cold.unsent}"
    if case.must_drop:
        return unheard(case) or case.no_twin or _twin_lost(case, site, played)
    if case.is_legal or is_stray(case.shot.frame, site):
        return ""
    if undelivered(site, case.player, case.shot.frame, played.cold):
        return "the host refuses it, though the level does not ask for that"
    return unheard(case)


def _twin_lost(case: AuditCase, site: Site, played: Played) -> str:
    if case.twin is None or played.twin is None:
        return ""
    twin = f"its legal twin {case.variant.twin}"
    if played.twin.unsent:
        return f"{twin} is not sent: {played.twin.unsent}"
    if lost := undelivered(site, case.player, case.twin.frame, played.twin):
        return f"{twin} is {lost[0]}: a filter that drops everything proves nothing"
    return ""


def _word(plays: Sequence[tuple[str, AuditObservation]]) -> str:
    """The effects of a frame, in a few words."""
    unsent = plays[0][1].unsent
    if unsent:
        return "not sent"
    if served := next((seen.served for _when, seen in plays if seen.served), ""):
        return served
    names = dict.fromkeys(name for _when, seen in plays for name in seen.heard)
    parts = [f"heard by {', '.join(names)}"] if names else ["nobody heard it"]
    if any(seen.moved or seen.poisoned for _when, seen in plays):
        parts.append("tables changed")
    return ", ".join(parts)


def _record(
    case: AuditCase, site: Site, status: Status, seen: str, why: tuple[str, ...] = ()
) -> Record:
    frame = case.shot.frame
    is_leak = not case.must_drop and is_stray(frame, site)
    return Record(
        guard=_guard(case, is_leak=is_leak),
        attack=case.attack.id,
        variant=case.variant.name,
        title=case.attack.title,
        expected="no guest hears it" if is_leak else _EXPECTED[case.expected.outcome],
        seen=seen,
        status=status,
        why=why,
        frame=frame,
        text=describe(frame) if frame else "",
        published=case.attack.published,
    )


def _guard(case: AuditCase, *, is_leak: bool) -> str:
    """The guard that must refuse the frame, or LEGAL, or HARMLESS.

    A frame to no post breaks no rule of its sender: each receiver's guard refuses it.
    """
    if case.is_legal:
        return LEGAL
    if case.expected.outcome is Outcome.PASS and not is_leak:
        return HARMLESS
    guard = case.expected.guard or case.attack.guard
    return guard.value if guard else LEGAL


_EXPECTED = {
    Outcome.DROP: "nobody hears it",
    Outcome.PASS: "delivered to whom it is addressed",
    Outcome.CONTAINED: "it never reaches the host",
}
