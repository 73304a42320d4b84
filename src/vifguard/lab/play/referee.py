"""The referee: plays one frame and returns all its effects.

Nothing is concluded from silence. Behind each frame a marker that must arrive is sent on the
same path; veth and bridge hand frames on in order on one CPU, so when the marker has
arrived everywhere, all effects of the frame are there. A marker that does not arrive, and a
frame that did not reach the host's end of its interface, are errors of the bench.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Self

from vifguard.lab.attacks.attack import Actor, Offload
from vifguard.lab.play.capture import PATIENCE, Capture, CaptureSet
from vifguard.lab.play.learned_tables import LearnedTables, TableSnapshot
from vifguard.lab.play.packet_socket import CannotSendError
from vifguard.lab.play.topology import Endpoint, LabSegment, Topology
from vifguard.lab.world.netns import LabError


@dataclass(frozen=True, slots=True)
class Seen:
    """The effects of one frame.

    `unsent` is the reason why no kernel would carry it, empty where it reached the host's end of
    its interface. `heard` counts it by place on the segment; `strangers` are places elsewhere
    that received it; `host` is whether a socket of the host did. `moved` and `poisoned` are the
    table entries that it made untrue, `extra` the frames that nobody sent.
    """

    unsent: str = ""
    heard: dict[str, int] = field(default_factory=dict)
    strangers: tuple[str, ...] = ()
    host: bool = False
    moved: tuple[str, ...] = ()
    poisoned: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether the frame had any effect at all."""
        return bool(
            self.heard or self.strangers or self.host or self.moved or self.poisoned or self.extra
        )


class Referee:
    """Plays frames in a topology. One thread's, which stays on one CPU meanwhile."""

    def __init__(self, topology: Topology, *, patience: float = PATIENCE) -> None:
        self.topology = topology
        self._cleanup = ExitStack()
        try:
            self._cleanup.enter_context(on_one_cpu())
            self._captures = CaptureSet(topology, patience)
            self._cleanup.callback(self._captures.close)
            self._tables = LearnedTables(topology)
            self._cleanup.callback(self._tables.close)
            self._now = {segment.name: self._settle(segment) for segment in topology.segments}
        except BaseException:
            self._cleanup.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and release the CPU."""
        self._cleanup.close()

    def play(
        self, segment: LabSegment, actor: Actor, frame: bytes, offload: Offload | None = None
    ) -> Seen:
        """Play one frame from an actor's place, and return its effects."""
        place = segment.actors[actor]
        marking = segment.actors[Actor.GUEST] if place.receives_nothing else place
        try:
            self._captures.send(place, frame, offload)
        except CannotSendError as error:
            self._captures.barrier(marking, segment.listeners)
            return Seen(unsent=str(error))
        noise = self._captures.barrier(marking, segment.listeners)
        before = self._now[segment.name]
        after = self._tables.reread(segment, before, noise.heard)
        self._now[segment.name] = after
        forms = (frame,) if offload is None else (frame, offload.completed(frame))
        seen = self._tell(segment, place, forms, noise, (before, after))
        if seen.moved or seen.poisoned:
            self._now[segment.name] = self._settle(segment)
        return seen

    def settle(self) -> None:
        """Restore the truth everywhere: after something else than a frame happened."""
        for segment in self.topology.segments:
            self._now[segment.name] = self._settle(segment)

    def _tell(
        self,
        segment: LabSegment,
        place: Endpoint,
        forms: tuple[bytes, ...],
        noise: Capture,
        tables: tuple[TableSnapshot, TableSnapshot],
    ) -> Seen:
        """The effects of a frame, by the `forms` in which it may arrive: as sent, as completed."""
        here = {place.name for place in segment.everyone}
        counts = {
            name: sum(frames.count(form) for form in dict.fromkeys(forms))
            for name, frames in noise.heard.items()
        }
        return Seen(
            unsent=""
            if forms[0] in noise.arrived.get(place.name, ())
            else "it did not reach the host's end",
            heard={name: count for name, count in counts.items() if count and name in here},
            strangers=tuple(name for name, count in counts.items() if count and name not in here),
            host=any(form in noise.host for form in forms),
            moved=tuple(self._tables.moved(segment, *tables)),
            poisoned=tuple(self._tables.poisoned(segment, *tables)),
            extra=tuple(
                f"{name} heard {each.hex()}"
                for name, frames in noise.heard.items()
                for each in frames
                if self._captures.is_extra(each)
            ),
        )

    def _settle(self, segment: LabSegment) -> TableSnapshot:
        """Correct every table of the segment, and check that it is correct."""
        self._captures.announce(segment.listeners)
        snapshot = self._tables.restore(segment)
        wrong = self._tables.displaced(segment, snapshot)
        if wrong:
            raise LabError(f"the tables of {segment.name} cannot be restored: {wrong}")
        return snapshot


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """Keep this thread on one CPU: frames of two CPUs could overtake one another."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
