"""What reference and program once disagreed on, one file each, with a sentence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fuzz.ports import Disagreement
from vifguard.feed import codec
from vifguard.model.policy import PortPolicy
from vifguard.model.verdict import Direction
from vifguard.packet.text import describe

KEPT = Path(__file__).with_name("regressions")


@dataclass(frozen=True, slots=True)
class Regression:
    """A frame at a port; `sentence` says what it showed and which side was wrong."""

    name: str
    sentence: str
    policy: PortPolicy
    direction: Direction
    frame: bytes


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
    )


def keep(found: Disagreement) -> Path:
    """Write a file for a new one; its sentence waits for somebody who understood it."""
    digest = hashlib.sha256(found.frame + str(found.kind).encode()).hexdigest()[:12]
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"found-{digest}.json"
    said = {
        "sentence": f"Not looked into yet: the reference says {found.reference!r}, "
        f"the program {found.program!r}.",
        "shown": describe(found.frame),
        "direction": found.direction.value,
        "frame": found.frame.hex(),
        "policy": codec.encode(found.policy),
    }
    path.write_text(json.dumps(said, indent=2) + "\n")
    return path
