"""Tests can interrupt what they start, also where a parent ignores SIGINT (`nohup`, some CIs)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from vifguard.lab.result.runner import ending_tidily


def ignore() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_a_child_can_be_interrupted() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == -signal.SIGINT


def test_it_can_where_the_tests_are_started_with_the_signal_ignored() -> None:
    this = f"{__file__}::{test_a_child_can_be_interrupted.__name__}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # The child must inherit an ignored signal: only code between fork and exec can do that.
    run = subprocess.run(
        command,
        preexec_fn=ignore,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stdout


def test_a_run_under_nohup_does_not_end_with_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_tidily():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
