"""The guided search, as seen from outside: libFuzzer by way of atheris, in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

_GRACE = 120


@dataclass(frozen=True, slots=True)
class Guided:
    """Its result. `kept` reached code that others did not; `disagreeing` are to be looked at."""

    frames: int
    compared: int
    cpu: float
    kept: tuple[bytes, ...]
    disagreeing: tuple[bytes, ...]


class GuidedError(RuntimeError):
    """The search did not come to its end; the message is the end of its output."""


def missing() -> str:
    """Why there is no guided search here; empty where there is one."""
    if find_spec("atheris"):
        return ""
    version = ".".join(str(number) for number in sys.version_info[:2])
    return f"atheris is not installed (it has no wheel for every Python; this is {version})"


def search(frames: Iterable[bytes], seconds: float, seed: int) -> Guided:
    """Search for so long from these frames; GuidedError where it broke down."""
    with TemporaryDirectory(prefix="vifguard-fuzz-") as name:
        directory = Path(name)
        (directory / "kept").mkdir()
        for number, frame in enumerate(frames):
            (directory / "kept" / f"seed-{number}").write_bytes(frame)
        done = subprocess.run(
            [sys.executable, "-m", "fuzz.instrumented", name, str(seconds), str(seed)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=seconds + _GRACE,
        )
        tally = directory / "tally.json"
        if done.returncode or not tally.exists():
            raise GuidedError(f"the guided search ended early:\n{done.stderr[-2000:]}")
        said = json.loads(tally.read_text())
        kept = [path for path in (directory / "kept").iterdir() if "seed-" not in path.name]
        return Guided(
            said["frames"],
            said["compared"],
            said["cpu"],
            tuple(path.read_bytes() for path in kept),
            tuple(bytes.fromhex(frame) for frame in said["disagreeing"]),
        )
