"""The judge of an audit: what is said of a frame, by what came of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vifguard.lab.attacks.attack import Outcome
from vifguard.lab.audit.bench import Seen
from vifguard.lab.audit.report import LEGAL, Record, Status
from vifguard.lab.audit.schedule import Case, unheard
from vifguard.lab.audit.site import Post, Site
from vifguard.model.address import Mac
from vifguard.packet.text import describe


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a case: cold, of its twin, and again behind the twin."""

    cold: Seen
    twin: Seen | None = None
    again: Seen | None = None


def judged(case: Case, site: Site, played: Played) -> Record:
    """What is said of a case that was played."""
    plays = [("", played.cold)]
    if played.again is not None:
        plays.append(("behind a legal frame: ", played.again))
    faults = [when + fault for when, seen in plays for fault in _faults(case, site, seen)]
    if faults:
        return _record(case, Status.FAIL, _word(plays), tuple(faults))
    if why := _proves_nothing(case, site, played):
        return _record(case, Status.UNTESTABLE, _word(plays), (why,))
    return _record(case, Status.PASS, _word(plays))


def untestable(case: Case, why: str) -> Record:
    """What is said of a case that cannot be played."""
    return _record(case, Status.UNTESTABLE, "not played", (why,))


def faults_of_legal(case: Case, site: Site, frame: bytes, seen: Seen) -> list[str]:
    """What is wrong with what came of a legal frame of the case's player."""
    if seen.unsent:
        return []
    others = [post for post in site.posts if post is not case.player]
    must = [post for post in others if addressed(frame, post)]
    group = Mac(frame[:6]).is_group
    counts = Counter(seen.heard)
    faults = [f"not delivered to the {post.name}" for post in must if not counts[post.name]]
    if group and Mac(frame[:6]) != _EVERYONE and len(faults) < len(must):
        faults = []  # a host may hand a multicast to whom asked for it alone
    # Beyond the uplink nobody guards: what is for nobody here may go there.
    guests = [post for post in others if post is not site.outside and post not in must]
    faults += [
        f"delivered to the {post.name}, to whom it is not addressed"
        for post in guests
        if counts[post.name]
    ]
    if case.shot.offload is None:
        faults += [f"delivered {n} times to the {name}" for name, n in counts.items() if n > 1]
    return faults + list(seen.moved) + list(seen.poisoned)


_EVERYONE = Mac(b"\xff" * 6)


def addressed(frame: bytes, post: Post) -> bool:
    """Whether a post must hear a frame that passes."""
    return bool(frame[0] & 1) or frame[:6] == post.mac.octets


def _faults(case: Case, site: Site, seen: Seen) -> list[str]:
    if case.expected.outcome is Outcome.PASS:
        return faults_of_legal(case, site, case.shot.frame, seen)
    return list(_faults_of_attack(seen))


def _faults_of_attack(seen: Seen) -> Iterator[str]:
    if heard := tuple(dict.fromkeys(seen.heard)):
        yield f"delivered to the {', '.join(heard)}"
    yield from seen.moved
    yield from seen.poisoned


def _proves_nothing(case: Case, site: Site, played: Played) -> str:
    """Why silence, or delivery, says nothing of the host here; empty where it does."""
    if played.cold.unsent:
        return f"the {case.player.name}'s device refuses to send it: {played.cold.unsent}"
    if not case.must_drop:
        return ""
    if why := unheard(case) or case.no_twin:
        return why
    if case.twin is not None and played.twin is not None:
        if played.twin.unsent:
            return f"its legal twin {case.variant.twin}: {played.twin.unsent}"
        wrong = faults_of_legal(case, site, case.twin.frame, played.twin)
        if wrong:
            return (
                f"its legal twin {case.variant.twin} was {wrong[0]}:"
                " a filter that drops everything proves nothing"
            )
    return ""


def _word(plays: Sequence[tuple[str, Seen]]) -> str:
    """What came of a frame, in a few words."""
    unsent = plays[0][1].unsent
    if unsent:
        return "not sent"
    names = dict.fromkeys(name for _when, seen in plays for name in seen.heard)
    parts = [f"heard by {', '.join(names)}"] if names else ["nobody heard it"]
    if any(seen.moved or seen.poisoned for _when, seen in plays):
        parts.append("tables changed")
    return ", ".join(parts)


def _record(case: Case, status: Status, seen: str, why: tuple[str, ...] = ()) -> Record:
    expected, frame = case.expected, case.shot.frame
    guard = None if expected.outcome is Outcome.PASS else expected.guard or case.attack.guard
    return Record(
        guard=guard.value if guard else LEGAL,
        attack=case.attack.id,
        variant=case.variant.name,
        title=case.attack.title,
        expected=_expectation(case),
        seen=seen,
        status=status,
        why=why,
        frame=frame,
        text=describe(frame) if frame else "",
        published=case.attack.published,
    )


def _expectation(case: Case) -> str:
    return {
        Outcome.DROP: "nobody hears it",
        Outcome.PASS: "delivered to whom it is addressed",
        Outcome.CONTAINED: "it never reaches the host",
    }[case.expected.outcome]
