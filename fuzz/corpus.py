"""The frames that a search starts from, and those that are kept of it: one a line, as hex."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from tests.property import strategies
from tests.triangle import universe

from fuzz import vocabulary
from fuzz.ports import is_testable
from fuzz.shape import behaviours
from vifguard.lab.attacks import VARIANTS
from vifguard.lab.attacks.attack import Actor
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction
from vifguard.packet.frame import parse
from vifguard.semantics.verdict import verdict

KEPT = Path(__file__).with_name("corpus") / "frames.hex"
_LONGEST_KEPT = 420
_TAPES = 20_000
_OF_THE_UNIVERSE = 3000


def kept() -> list[bytes]:
    """The corpus in the repository."""
    return [bytes.fromhex(line) for line in KEPT.read_text().split()] if KEPT.exists() else []


def keep(frames: Iterable[bytes]) -> int:
    """Make the fewest and shortest frames that show all their behaviours the corpus; its size."""
    few = sorted(fewest(frames), key=lambda frame: (len(frame), frame))
    KEPT.write_text("".join(f"{frame.hex()}\n" for frame in few))
    return len(few)


def catalogue() -> Iterator[bytes]:
    """The frames of the attack catalogue, played by the port and from outside, to two peers."""
    for variant in VARIANTS.values():
        player = vocabulary.CAST.g if variant.actor is Actor.OUTSIDE else vocabulary.CAST.a
        for peer in (vocabulary.CAST.p, vocabulary.CAST.g):
            yield variant.frame(vocabulary.CAST.with_attacker(player).with_peer(peer))


def encode_choices(random: Random) -> bytes:
    """Any frame of the tiny world of `tests.property.strategies`."""
    return strategies.frame_of(random.randbytes(strategies.TAPE))


def seeds(random: Random) -> list[bytes]:
    """The first frames of a search: the corpus, the catalogue, and some of the tiny universe."""
    tiny = [frame for _, frame in universe.frames()]
    return [*kept(), *catalogue(), *random.sample(tiny, _OF_THE_UNIVERSE)]


def everything(random: Random) -> Iterator[bytes]:
    """All frames that are known, and many tapes: for the first corpus."""
    yield from (frame for _, frame in universe.frames())
    yield from catalogue()
    yield from (encode_choices(random) for _ in range(_TAPES))


def fewest(frames: Iterable[bytes]) -> list[bytes]:
    """Few of the frames, rather short ones, that show all behaviours that all of them show."""
    judges = list(vocabulary.fixed())
    shown: dict[bytes, set[object]] = {}
    times: Counter[object] = Counter()
    for frame in sorted(set(frames), key=lambda frame: (len(frame), frame)):
        if len(frame) > _LONGEST_KEPT or not is_testable(frame):
            continue
        shows = _shown(judges, frame)
        if not shows <= times.keys():
            shown[frame] = shows
            times.update(shows)
    for frame in [*shown][::-1]:  # Not needed if shorter and later ones together show as much.
        if all(times[behaviour] > 1 for behaviour in shown[frame]):
            times.subtract(shown.pop(frame))
    return list(shown)


def _shown(judges: Iterable[PortPolicy], frame: bytes) -> set[object]:
    """The behaviours that the frame shows at the ports of all judges together."""
    parsed = parse(frame)
    reasons = {
        verdict(policy, direction, parsed).reason for policy in judges for direction in Direction
    }
    return set().union(*(behaviours(parsed, reason) for reason in reasons))
