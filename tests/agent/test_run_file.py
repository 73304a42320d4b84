"""What a running agent says of itself on its own host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vifguard.agent.reporting.run_file import RunFile, path_of, running

PINS = Path("/sys/fs/bpf/vifguard")


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))


@pytest.mark.parametrize("hours", [-24, 0, 24])
def test_a_calendar_that_is_set_makes_no_read_back_old_or_new(
    monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Set back by an hour, guards that nobody read back were taken for read back for an hour."""
    now, calendar = time.monotonic(), time.time()
    with RunFile(PINS, "h") as file:
        file.write((), {}, read_back=True)
        monkeypatch.setattr(time, "time", lambda: calendar + 3600 * hours)
        monkeypatch.setattr(time, "monotonic", lambda: now + 30)
        found = running(PINS)
        assert found is not None
        assert found.read_back_ago == pytest.approx(30, abs=5)


def test_guards_that_were_never_read_back_are_not_taken_for_read_back() -> None:
    with RunFile(PINS, "h") as file:
        file.write(("links: gone",), {"program": 1}, read_back=False)
        found = running(PINS)
        assert found is not None
        assert found.read_back_ago > 10**9
        assert (found.degraded, found.lost) == (("links: gone",), {"program": 1})
    assert running(PINS) is None
    assert not path_of(PINS).exists()
