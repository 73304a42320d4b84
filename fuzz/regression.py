"""Frames on which reference and program once disagreed, one file each, with a sentence.

A file is one frame at one port, or, in `sequences`, all steps that led to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tests.triangle.sequences.stage import DisagreementError
from tests.triangle.sequences.steps import Held, Sent, Step, decoded, encoded, shown

from fuzz import vocabulary
from fuzz.ports import Disagreement
from vifguard.feed import codec
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction
from vifguard.packet.describe import describe
from vifguard.packet.offload import NO_OFFLOAD, Offload

KEPT = Path(__file__).with_name("regressions")
_SEQUENCES = "sequences"


@dataclass(frozen=True, slots=True)
class Regression:
    """A frame at a port; `sentence` describes the disagreement and the side that was wrong."""

    name: str
    sentence: str
    policy: PortPolicy
    direction: Direction
    frame: bytes
    offload: Offload = NO_OFFLOAD


@dataclass(frozen=True, slots=True)
class SequenceRegression:
    """Steps to a disagreement; `sentence` describes it and the side that was wrong."""

    name: str
    sentence: str
    steps: list[Step]


def kept_sequences() -> list[SequenceRegression]:
    """All that are in the repository."""
    said = {path.stem: json.loads(path.read_text()) for path in KEPT.glob(f"{_SEQUENCES}/*.json")}
    return [
        SequenceRegression(name, each["sentence"], decoded(each["steps"]))
        for name, each in sorted(said.items())
    ]


def keep_sequence(steps: list[Step], reference: str, program: str) -> Path:
    """Write a file for steps that showed something new."""
    digest = hashlib.sha256(str(encoded(steps)).encode()).hexdigest()[:12]
    path = KEPT / _SEQUENCES / f"found-{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "sentence": f"Not looked into yet: the reference says {reference!r}, "
        f"the program {program!r}.",
        "shown": shown(steps).splitlines(),
        "steps": encoded(steps),
    }
    path.write_text(json.dumps(said, indent=1) + "\n")
    return path


def keep_error(error: DisagreementError) -> Path:
    """Write a file for a disagreement that a search in sequences found."""
    reference, program = (str(said) if said else "pass" for said in error.said)
    return keep_sequence(error.steps, reference, program)


def kept() -> list[Regression]:
    """All that are in the repository."""
    return [read(path) for path in sorted(KEPT.glob("*.json"))]


def read(path: Path) -> Regression:
    """One file."""
    said = json.loads(path.read_text())
    return Regression(
        path.stem,
        said["sentence"],
        codec.decode(PortPolicy, said["policy"]),
        Direction(said["direction"]),
        bytes.fromhex(said["frame"]),
        codec.decode(Offload, said.get("offload", {})),
    )


def keep(found: Disagreement) -> Path:
    """Write a file for a new one; its sentence is to be written once it is understood."""
    if Guard.SECURITY_GROUPS in found.policy.guards and found.offload == NO_OFFLOAD:
        steps = [Held((found.policy,), vocabulary.BOOK), Sent(0, found.direction, found.frame)]
        return keep_sequence(steps, found.reference, found.program)
    digest = hashlib.sha256(found.frame + str((found.kind, found.offload)).encode()).hexdigest()[
        :12
    ]
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"found-{digest}.json"
    said = {
        "sentence": f"Not looked into yet: the reference says {found.reference!r}, "
        f"the program {found.program!r}.",
        "shown": describe(found.frame),
        "direction": found.direction.value,
        "frame": found.frame.hex(),
        "offload": codec.encode(found.offload),
        "policy": codec.encode(found.policy),
    }
    path.write_text(json.dumps(said, indent=2) + "\n")
    return path
