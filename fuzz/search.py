"""The structured search: frames changed where it matters, judged at ports, compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from fuzz import corpus, offloads, vocabulary
from fuzz.mutate import Mutator, Seed
from fuzz.ports import Disagreement, Ports, is_testable
from fuzz.shape import behaviours
from vifguard.model.verdict import PASS, Direction, Verdict
from vifguard.packet.frame import Frame, parse

DRAWN_PORTS = 16
BATCH = 128
_FRESH_POLICIES_EVERY = 400
_FRESH_FRAMES = 0.02
_LATEST = 400
_KINDS_KEPT = 200
_FOUND_AT_MOST = 20_000


@dataclass(slots=True)
class Tally:
    """The tally of a search. A comparison is a frame at a port in a direction, judged by both."""

    frames: int = 0
    compared: int = 0
    passed: int = 0
    too_short: int = 0
    policies: int = 0
    behaviours: int = 0
    disagreements: int = 0
    kinds: dict[tuple[str, ...], Disagreement] = field(default_factory=dict)
    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def note(self, found: Iterable[Disagreement]) -> None:
        """Count these, and keep one of each kind."""
        for each in found:
            self.disagreements += 1
            if len(self.kinds) < _KINDS_KEPT:
                self.kinds.setdefault(each.kind, each)

    def __str__(self) -> str:
        wall = time.perf_counter() - self.wall
        cpu = time.process_time() - self.cpu
        return (
            f"{wall:.0f} s: {self.frames:,} frames, {self.compared:,} comparisons "
            f"({self.compared / wall:,.0f} a second; {self.compared / cpu:,.0f} a second of CPU), "
            f"{100 * self.passed // max(1, self.compared)} % pass, {self.policies} policies, "
            f"{self.behaviours:,} behaviours, {self.too_short:,} frames too short to test, "
            f"{self.disagreements} disagreements"
        )


class Search:
    """One search; `frames` are its first."""

    def __init__(self, frames: Iterable[bytes], random: Random) -> None:
        self._random = random
        self._mutator = Mutator(random)
        self._pool = [Seed(frame) for frame in frames]
        self._began = len(self._pool)
        self._seen: set[object] = set()
        fixed = list(vocabulary.fixed())
        self._fixed = len(fixed)
        drawn = [vocabulary.drawn(random, self._fixed + number) for number in range(DRAWN_PORTS)]
        self._ports = Ports([*fixed, *drawn])
        self.tally = Tally(policies=len(fixed) + len(drawn))
        self._replay()

    @property
    def frames(self) -> list[bytes]:
        """The frames that it began with and has found."""
        return [seed.frame for seed in self._pool]

    def run(self, goes_on: Callable[[Tally], bool]) -> Tally:
        """Search for as long as `goes_on`."""
        batches = 0
        while goes_on(self.tally):
            self._compare([self._next() for _ in range(BATCH)], self._pairs())
            batches += 1
            if batches % _FRESH_POLICIES_EVERY == 0:
                self._draw_policies()
        return self.tally

    def _replay(self) -> None:
        """Compare its first frames unchanged, at every port that stays."""
        everywhere = [(port, each) for port in range(self._fixed) for each in Direction]
        frames = self.frames
        for at in range(0, len(frames), BATCH):
            self._compare(frames[at : at + BATCH], everywhere)

    def _next(self) -> bytes:
        draw, pool = self._random.random, self._pool
        if draw() < _FRESH_FRAMES:
            return corpus.encode_choices(self._random)
        latest = pool[-_LATEST:] if draw() < 0.3 else pool
        return self._mutator.mutate(
            latest[int(draw() * len(latest))], pool[int(draw() * len(pool))]
        )

    def _compare(self, frames: list[bytes], pairs: list[tuple[int, Direction]]) -> None:
        tally, short = self.tally, [frame for frame in frames if not is_testable(frame)]
        testable = [frame for frame in frames if is_testable(frame)] if short else frames
        tally.frames += len(frames)
        tally.too_short += len(short)
        for frame in short:  # The reference has a verdict on any bytes.
            self._ports.judge(*pairs[0], read(frame, self._random.random))
        parsed = [read(frame, self._random.random) for frame in testable]
        for turn, (port, direction) in enumerate(pairs):
            wanted = [self._ports.judge(port, direction, frame) for frame in parsed]
            tally.note(self._ports.disagreements(port, direction, parsed, wanted))
            tally.compared += len(wanted)
            tally.passed += wanted.count(PASS)
            if turn == 0:
                self._learn(parsed, wanted)
        self._ports.age()

    def _pairs(self) -> list[tuple[int, Direction]]:
        """A fixed and two drawn ports for frames from the guest, any port for frames to it."""
        below = self._random.randrange
        return [
            (below(self._fixed), Direction.FROM_GUEST),
            (below(self._fixed, self._fixed + DRAWN_PORTS), Direction.FROM_GUEST),
            (below(self._fixed, self._fixed + DRAWN_PORTS), Direction.FROM_GUEST),
            (below(self._fixed + DRAWN_PORTS), Direction.TO_GUEST),
        ]

    def _learn(self, frames: list[Frame], wanted: list[Verdict]) -> None:
        for frame, said in zip(frames, wanted, strict=True):
            shown = behaviours(frame, said.reason)
            if not shown <= self._seen:
                self._seen.update(shown)
                self._take(Seed(frame.octets))
        self.tally.behaviours = len(self._seen)

    def _take(self, seed: Seed) -> None:
        """Into the pool; where it is full, in the place of one that was found before."""
        if len(self._pool) < self._began + _FOUND_AT_MOST:
            self._pool.append(seed)
        else:
            self._pool[self._random.randrange(self._began, len(self._pool))] = seed

    def shrunk(self, found: Disagreement) -> Disagreement:
        """The shortest and plainest frame with the same disagreement."""
        self._ports.hold({0: found.policy})

        def still(frame: bytes) -> Disagreement | None:
            if not is_testable(frame):
                return None
            whole = parse(frame, offload=found.offload)
            said = self._ports.judge(0, found.direction, whole)
            again = self._ports.disagreements(0, found.direction, [whole], [said])
            return next((each for each in again if each.kind == found.kind), None)

        while smaller := next(filter(None, map(still, candidates(found.frame))), None):
            found = smaller
        return found

    def _draw_policies(self) -> None:
        numbers = range(self._fixed, self._fixed + DRAWN_PORTS)
        self._ports.hold({number: vocabulary.drawn(self._random, number) for number in numbers})
        self.tally.policies += DRAWN_PORTS


def read(frame: bytes, draw: Callable[[], float]) -> Frame:
    """The frame, parsed, with an offload; an error raised meanwhile names the frame."""
    try:
        return offloads.drawn(draw, frame)
    except Exception as error:
        error.add_note(f"frame {frame.hex()}")
        raise


def candidates(frame: bytes) -> Iterator[bytes]:
    """Simpler frames than this: cut short, or with octets that are zero."""
    for size in (64, 16, 4, 1):
        if len(frame) > size:
            yield frame[:-size]
    for size in (16, 4, 1):
        for at in range(12, len(frame), size):
            end = min(at + size, len(frame))
            if any(frame[at:end]):
                yield frame[:at] + bytes(end - at) + frame[end:]
