"""A peer that cannot run is a row with its reason; the control shows what attacks can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from peers.examine import examine

from peers import bridge
from vifguard.lab.audit.report import LEGAL
from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.netns import LabError
from vifguard.model.guard import Guard


@contextmanager
def failing(_run: Run) -> Iterator[Site]:
    raise LabError("the daemon ended with 3\nits whole log")
    yield


def test_a_peer_whose_programs_are_not_here_says_which() -> None:
    result = examine(replace(bridge.PEER, programs=("sh", "no-such-daemon")))
    assert result.report is None
    assert result.reason == "no-such-daemon not found"


@pytest.mark.kernel
def test_a_peer_that_fails_says_why_in_one_line() -> None:
    result = examine(replace(bridge.PEER, up=failing))
    assert result.report is None
    assert result.reason == "LabError: the daemon ended with 3"


@pytest.mark.kernel
def test_nothing_is_refused_on_a_plain_bridge_and_all_that_is_legal_passes() -> None:
    report = examine(bridge.PEER).report
    assert report is not None
    assert not report.interrupted
    legal = report.tally(LEGAL)
    assert legal.passed > 50
    assert not legal.failed
    for guard in Guard:
        assert not report.tally(guard).passed, guard
    assert not report.conformant
