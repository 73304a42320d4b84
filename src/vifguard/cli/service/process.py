"""Processes: parts start, readiness is announced, and all end cleanly.

Ending is leaving: the guards stay in the kernel however this process ends.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn, Protocol

log = logging.getLogger("vifguard")

STOP_SECONDS = 6.0
"""Seconds that the parts may take to end; they end at once where no request is in progress."""


class Part(Protocol):
    """One of the things that run side by side in a process: the API server, the agent."""

    name: str

    def run(self, ready: Callable[[], None]) -> None:
        """Work until stopped; call `ready` when others may rely on it."""

    def stop(self) -> None:
        """Make `run` return soon; called from another thread."""


class PartError(Exception):
    """A part ended that should have gone on; raised by a part, the message has advice."""


class _Signal:
    """Wakes the main thread. A pipe: a signal handler may write to it while any lock is held."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def call(self) -> None:
        """Wake it now, or as soon as it waits."""
        with suppress(BlockingIOError):  # full: woken often enough
            os.write(self._write, b".")

    def wait(self) -> None:
        """Return once called since the last return."""
        os.read(self._read, 65536)

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Make signals call it too, and at once.

        Python runs its handlers some time after the signal: one that arrives just before the main
        thread waits would wait with it.
        """
        before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)


class _Running(threading.Thread):
    """A part in its thread, and its state or end."""

    def __init__(self, part: Part, notifier: _Signal) -> None:
        super().__init__(name=part.name, daemon=True)
        self.part = part
        self.ready = False
        self.ended = False
        self.failure: BaseException | None = None
        self._notifier = notifier

    def run(self) -> None:
        try:
            self.part.run(self._say_ready)
        except BaseException as error:  # noqa: BLE001  every end of a thread is reported
            self.failure = error
        self.ended = True
        self._notifier.call()

    def _say_ready(self) -> None:
        self.ready = True
        self._notifier.call()


def run_parts(parts: Sequence[Part], announce: Callable[[], None]) -> None:
    """Run the parts until SIGTERM or SIGINT; `announce` is called once all are ready.

    Raises PartError when a part ends by itself: the rest would be half a service, and the
    supervisor of the process must know.
    """
    notifier = _Signal()
    running = [_Running(part, notifier) for part in parts]
    with _stop_signals(notifier) as signals:
        for thread in running:
            thread.start()
        _watch(running, notifier, signals, announce)
        fallen = [thread for thread in running if thread.ended]
        _stop(running)
    if fallen and not signals:
        raise PartError("; ".join(_why(thread) for thread in fallen))


def exit_now(code: int) -> NoReturn:
    """End the process now, though a thread may still wait for a client."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(
    running: Sequence[_Running], notifier: _Signal, signals: list[int], announce: Callable[[], None]
) -> None:
    """Wait for a signal to stop, or until a part has ended."""
    announced = False
    while not signals and not any(thread.ended for thread in running):
        if not announced and all(thread.ready for thread in running):
            announced = True
            announce()
        notifier.wait()


def _stop(running: Sequence[_Running]) -> None:
    for thread in running:
        thread.part.stop()
    deadline = time.monotonic() + STOP_SECONDS
    for thread in running:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            log.warning("the %s did not end in time; the process ends without it", thread.name)


def _why(thread: _Running) -> str:
    if thread.failure is None:
        return f"the {thread.name} ended unexpectedly"
    if isinstance(thread.failure, PartError):
        return f"the {thread.name} ended: {thread.failure}"
    log.error("the %s failed", thread.name, exc_info=thread.failure)
    return f"the {thread.name} failed: {thread.failure or type(thread.failure).__name__}"


@contextmanager
def _stop_signals(notifier: _Signal) -> Iterator[list[int]]:
    """Within, SIGTERM and SIGINT are noted in the list instead of ending the process."""
    signals: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        signals.append(number)
        notifier.call()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with notifier.by_signals():
            yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
