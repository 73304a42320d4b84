"""An agent in a process of its own: updates come as JSON lines, reports go the same way."""

from __future__ import annotations

import json
import logging
import queue
import signal
import sys
import threading
from pathlib import Path

from vifguard.agent.agent import Agent
from vifguard.agent.settings import Settings
from vifguard.enforce.drivers import DriverSettings, EbpfSettings
from vifguard.feed.codec import decode, encode
from vifguard.feed.messages import FeedError, Report, ReportAnswer, Update


class PipeFeed:
    """Updates from standard input, reports to standard output; null is a server that is gone."""

    def __init__(self) -> None:
        self._updates: queue.SimpleQueue[Update | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self, _instance: str, _after: int, timeout: float) -> Update | None:
        try:
            update = self._updates.get(timeout=timeout)
        except queue.Empty:
            return None
        if update is None:
            raise FeedError("the server is gone")
        return update

    def report(self, report: Report) -> ReportAnswer:
        sys.stdout.write(json.dumps(encode(report)) + "\n")
        sys.stdout.flush()
        return ReportAnswer()

    def _read(self) -> None:
        for line in sys.stdin:
            raw = json.loads(line)
            self._updates.put(None if raw is None else decode(Update, raw))


def main() -> None:
    directory, physical, compare, tcx, record, members = sys.argv[1:7]
    keep_unguarded, hands_off, *trusted = json.loads(members)
    logging.basicConfig(level=logging.WARNING, format="%(threadName)s %(message)s")
    settings = Settings(
        DriverSettings(Path(directory), EbpfSettings(json.loads(tcx))),
        json.loads(physical),
        float(compare),
        trusted=frozenset(trusted),
        keep_unguarded=keep_unguarded,
        record=Path(record),
        hands_off=frozenset(hands_off),
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Agent(PipeFeed(), "here", settings).run(stop)


main()
