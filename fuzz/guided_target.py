"""The target of the guided search, which judges one input after the other.

An input is a frame and nothing else; the ports at which it is judged, and its offloads, follow
from its octets, so that the same input always reaches the same code. Half of the
changes are libFuzzer's own, half those of `mutate`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections import defaultdict
from pathlib import Path
from random import Random

import atheris

from fuzz import offloads, vocabulary
from fuzz.mutate import Mutator, Seed
from fuzz.ports import Ports, is_testable
from vifguard.model.verdict import Direction, Verdict
from vifguard.packet.frame import Frame

_PAIRS = 4
_LAG = 64
"""Frames that wait at a port before its program is asked about all of them."""
_LOOK = 1024
"""Inputs between two looks at the clock."""
_LONGEST = 700


def search(directory: Path, seconds: float, seed: int) -> None:
    """Search for so long, and end the process."""
    mutator = Mutator(Random(seed))
    trial = _GuidedTarget(directory, time.monotonic() + seconds)

    def mutated(data: bytes, most: int, own_seed: int) -> bytes:
        if len(data) < 14 or own_seed & 1:
            return bytes(atheris.Mutate(data, most))
        here = Seed(data)
        return mutator.mutate(here, here)[:most]

    options = [f"-seed={seed + 1}", f"-max_len={_LONGEST}", "-rss_limit_mb=0"]
    atheris.Setup(
        [sys.argv[0], *options, str(directory / "kept")], trial.one, custom_mutator=mutated
    )
    atheris.Fuzz()


class _GuidedTarget:
    def __init__(self, directory: Path, end: float) -> None:
        self._directory, self._end = directory, end
        self._ports = Ports(list(vocabulary.fixed()))
        self._waiting: defaultdict[tuple[int, Direction], list[tuple[Frame, Verdict]]]
        self._waiting = defaultdict(list)
        self._frames = self._compared = 0
        self._disagreeing: list[str] = []

    def one(self, data: bytes) -> None:
        """Judge it at its ports; ask their programs when enough frames wait there."""
        self._frames += 1
        try:
            frame = offloads.drawn(Random(zlib.crc32(data)).random, data)
            for port, direction in self._pairs(data):
                said = self._ports.judge(port, direction, frame)
                if is_testable(data):
                    self._wait(port, direction, frame, said)
        except Exception:  # noqa: BLE001 - the search that follows reports the error
            self._disagreeing.append(data.hex())
        if self._frames % _LOOK == 0:
            self._ask_all()
            if time.monotonic() > self._end:
                self._finish()

    def _pairs(self, data: bytes) -> list[tuple[int, Direction]]:
        """Ports of the frame's own, three times from the guest and once to it."""
        ports, number = len(self._ports.policies), zlib.crc32(data)
        return [
            (
                (number >> 8 * turn) % ports,
                Direction.TO_GUEST if turn == 0 else Direction.FROM_GUEST,
            )
            for turn in range(_PAIRS)
        ]

    def _wait(self, port: int, direction: Direction, frame: Frame, said: Verdict) -> None:
        waiting = self._waiting[port, direction]
        waiting.append((frame, said))
        if len(waiting) == _LAG:
            self._ask(port, direction)

    def _ask(self, port: int, direction: Direction) -> None:
        waiting = self._waiting.pop((port, direction))
        frames, wanted = zip(*waiting, strict=True)
        found = self._ports.disagreements(port, direction, frames, wanted)
        self._compared += len(frames)
        self._disagreeing += [each.frame.hex() for each in found]

    def _ask_all(self) -> None:
        for port, direction in list(self._waiting):
            self._ask(port, direction)
        self._ports.age()

    def _finish(self) -> None:
        tally = {
            "frames": self._frames,
            "compared": self._compared,
            "disagreeing": self._disagreeing,
            "cpu": time.process_time(),
        }
        (self._directory / "tally.json").write_text(json.dumps(tally))
        os._exit(0)  # libFuzzer would go on
