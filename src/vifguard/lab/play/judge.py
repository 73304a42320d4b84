"""The judge: compares the effects of a frame with the catalogue's expectation. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from vifguard.lab.attacks.attack import Actor, Effect, Expected, Outcome, Path, Variant
from vifguard.lab.play.referee import Seen
from vifguard.lab.play.topology import Endpoint, LabSegment
from vifguard.model.address import Mac


def faults(
    variant: Variant, expected: Expected, segment: LabSegment, path: Path, frame: bytes, seen: Seen
) -> list[str]:
    """The faults of the effects; empty where all is as expected."""
    if seen.unsent:
        return _unsent(variant, seen)
    return list(_faults(variant, expected, segment, path, frame, seen))


def _unsent(variant: Variant, seen: Seen) -> list[str]:
    if variant.effect is Effect.UNSENT and not seen.anything:
        return []
    return [f"not sent: {seen.unsent}"]


def _faults(
    variant: Variant, expected: Expected, segment: LabSegment, path: Path, frame: bytes, seen: Seen
) -> Iterator[str]:
    if seen.strangers:
        yield f"heard on another network by {', '.join(seen.strangers)}"
    if seen.host:
        yield "heard by a socket of the host"
    yield from (f"extra frame: {each}" for each in seen.extra)
    if expected.outcome is Outcome.DROP:
        yield from _after_drop(variant, segment, seen)
    elif expected.outcome is Outcome.PASS and path is not Path.HOST:
        yield from _after_pass(segment, segment.actors[variant.actor], frame, seen)


def _after_drop(variant: Variant, segment: LabSegment, seen: Seen) -> Iterator[str]:
    # A frame from outside has been on the wire already: only guests must not receive it.
    outside = variant.actor is Actor.OUTSIDE
    guests = {place.name for place in segment.guests}
    heard = [name for name in seen.heard if not outside or name in guests]
    if heard:
        yield f"delivered to {', '.join(heard)}"
    if not outside:
        yield from seen.moved
        yield from seen.poisoned


def _after_pass(segment: LabSegment, sender: Endpoint, frame: bytes, seen: Seen) -> Iterator[str]:
    must, may = receivers(segment, sender, Mac(frame[:6]))
    for name in sorted(must - seen.heard.keys()):
        yield f"not delivered to {name}"
    for name in sorted(seen.heard.keys() - must - may):
        yield f"delivered to {name}, to whom it is not addressed"
    for name, count in seen.heard.items():
        if count > 1:
            yield f"delivered {count} times to {name}"


def receivers(segment: LabSegment, sender: Endpoint, destination: Mac) -> tuple[set[str], set[str]]:
    """The places that must receive a frame that passes, and those that may besides."""
    others = {place.name: place for place in segment.listeners if place.name != sender.name}
    if destination.is_group:
        return set(others), set()
    owners = {name for name, place in others.items() if place.station.mac == destination}
    if owners or destination == sender.station.mac:
        return owners, set()
    # Nobody's MAC: a bridge floods it; nothing guards beyond the uplink.
    unguarded = set(others) if segment.floods else set()
    return set(), unguarded | ({segment.outside.name} if segment.outside else set())
