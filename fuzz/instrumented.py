"""The guided search's own process: `python -m fuzz.instrumented DIRECTORY SECONDS SEED`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

ROOMS = ("vifguard.packet", "vifguard.semantics")
"""The rooms whose code is measured."""


def main() -> None:
    """Load everything, those rooms with counters in them, and search; does not return."""
    with atheris.instrument_imports(include=list(ROOMS)):
        from fuzz import guided_target  # noqa: PLC0415 - instrumented as it is loaded
    directory, seconds, seed = sys.argv[1:]
    guided_target.search(Path(directory), float(seconds), int(seed))


if __name__ == "__main__":
    main()
