"""Moments: seconds since the epoch or ISO 8601 from the API, local time for people."""

from __future__ import annotations

from datetime import datetime


def moment(at: float | str | None) -> str:
    """The local date and time, to the millisecond where seconds were given."""
    if at is None:
        return ""
    if isinstance(at, str):
        return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[:-3]
