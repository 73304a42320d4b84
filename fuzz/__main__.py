"""`python -m fuzz [--minutes 5] [--frames N] [--seed N] [--keep]`: search, compare, tell.

Exits with 1 where reference and program disagree; each kind of disagreement is then a file in
`fuzz/regressions`, shrunk, for somebody to look into.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from random import Random

from fuzz import corpus, guided, regression, sequences
from fuzz.search import Search, Tally

_GUIDED_SHARE = 0.4
_SEQUENCES_SHARE = 0.2
_TOLD_EVERY = 15.0


def main() -> int:
    """Run all searches; 1 for a disagreement."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="for all searches")
    parser.add_argument("--frames", type=int, help="structured search alone, until so many frames")
    parser.add_argument("--compared", type=int, help="the same, until so many comparisons")
    parser.add_argument("--seed", type=int, help="the same seed draws the same frames")
    parser.add_argument("--keep", action="store_true", help="make what was found the corpus")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("programs are loaded and a network namespace is made; run it as root")
    seed = int(time.time()) if asked.seed is None else asked.seed
    _tell(f"seed {seed}")
    random = Random(seed)
    frames = corpus.seeds(random)
    seconds, disagreeing = asked.minutes * 60, 0
    if not asked.frames and not asked.compared:
        disagreeing = _in_sequences(seconds * _SEQUENCES_SHARE, seed)
        found = _guided(frames, seconds * _GUIDED_SHARE, seed)
        seconds -= seconds * (_SEQUENCES_SHARE + (_GUIDED_SHARE if found else 0))
        frames += found
    search = Search(frames, random)
    tally = search.run(_until(asked, seconds))
    _tell(f"structured search, {tally}")
    if asked.keep:
        _tell(f"corpus: {corpus.keep(search.frames)} frames")
    for each in map(search.shrunk, tally.kinds.values()):
        _tell(f"{each}\n  -> {regression.keep(each)}")
    return int(bool(tally.disagreements or disagreeing))


def _in_sequences(seconds: float, seed: int) -> int:
    """Search in whole conversations; the number of disagreements, of which each is kept."""
    tally, found = sequences.search(seed, sequences.lasting(seconds))
    _tell(sequences.told(tally, found, seconds))
    for each in found:
        _tell(f"{each}\n  -> {regression.keep_error(each)}")
    return len(found)


def _guided(frames: list[bytes], seconds: float, seed: int) -> list[bytes]:
    """Frames to begin the other search with."""
    why = guided.missing()
    if why:
        _tell(f"no guided search: {why}; the structured search has all the time")
        return []
    done = guided.search(frames, seconds, seed)
    _tell(
        f"guided search, {seconds:.0f} s: {done.frames:,} frames, {done.compared:,} comparisons "
        f"({done.compared / seconds:,.0f} a second; {done.compared / done.cpu:,.0f} a second of "
        f"CPU), {len(done.kept)} kept, {len(done.disagreeing)} to look at"
    )
    return [*done.kept, *done.disagreeing]


def _until(asked: argparse.Namespace, seconds: float) -> Callable[[Tally], bool]:
    """A predicate whether to go on, which also prints the progress of the search."""
    end, told = time.monotonic() + seconds, time.monotonic()

    def goes_on(tally: Tally) -> bool:
        nonlocal told
        if time.monotonic() - told > _TOLD_EVERY:
            told = time.monotonic()
            _tell(f"  {tally}")
        if asked.frames or asked.compared:
            return bool(
                tally.frames < (asked.frames or 0) or tally.compared < (asked.compared or 0)
            )
        return time.monotonic() < end

    return goes_on


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
