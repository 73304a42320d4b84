"""Moments: seconds since the epoch or ISO 8601 from the API, local time for people."""

from __future__ import annotations

import re
import time
from datetime import datetime

import typer

_AGO = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(at: float | str | None) -> str:
    """The local date and time, to the millisecond where seconds were given."""
    if at is None:
        return ""
    if isinstance(at, str):
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[:-3]


def epoch(text: str) -> float:
    """Seconds since 1970 of `10m` (so long ago) or of a time such as `2026-01-31 12:00`.

    A time is local where it names no zone. Raises a usage error for other texts.
    """
    if ago := _AGO.fullmatch(text):
        return max(time.time() - int(ago[1]) * _SECONDS[ago[2]], 0.0)
    try:
        return max(datetime.fromisoformat(text).timestamp(), 0.0)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r} is neither a duration such as 10m nor a time such as 2026-01-31 12:00"
        ) from None
