"""A flood: frames that a guest sends over and over, from before it has an interface.

Run as a program it is the flood itself: `python -m vifguard.lab.world.flood DEVICE HEX...`.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon

_AT_ONCE, _PAUSE = 20, 0.002


class Flood(Daemon):
    """Sends these frames in turn at most 10,000 times a second, until it is killed."""

    def __init__(self, inside: str, device: str, frames: Iterable[bytes], log: Path) -> None:
        program = (sys.executable, "-m", "vifguard.lab.world.flood", device)
        super().__init__(inside, (*program, *(frame.hex() for frame in frames)), log)


def came_in(host_netns: str, tap: str) -> int:
    """The number of frames from the guest at the host's end of an interface; 0 without one."""
    answer = netns.run(["ip", "-s", "-j", "link", "show"], netns=host_netns)
    links = {link["ifname"]: link for link in json.loads(answer)}
    return int(links[tap]["stats64"]["rx"]["packets"]) if tap in links else 0


def _send(device: str, frames: Iterable[bytes]) -> None:
    """Send for ever; there may be no interface yet, or it may be down, or gone."""
    sender = None
    turns = itertools.cycle(frames)
    while True:
        try:
            if sender is None:
                sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                sender.bind((device, 0))
            for frame in itertools.islice(turns, _AT_ONCE):
                sender.send(frame)
        except OSError:
            if sender is not None:
                sender.close()
                sender = None
        time.sleep(_PAUSE)


if __name__ == "__main__":
    _send(sys.argv[1], [bytes.fromhex(frame) for frame in sys.argv[2:]])
