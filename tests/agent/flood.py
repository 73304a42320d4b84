"""Sends one frame over and over through an interface, from before there is one.

Until SIGTERM, and no longer than whoever started it lives.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

interface, frame = sys.argv[1], bytes.fromhex(sys.argv[2])
sent, going, starter = 0, True, os.getppid()


def end(*_: object) -> None:
    global going  # noqa: PLW0603  a signal handler has no other way to say it
    going = False


signal.signal(signal.SIGTERM, end)
door = None
while going and os.getppid() == starter:
    try:
        if door is None:
            door = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            door.bind((interface, 0))
        for _ in range(10):
            door.send(frame)
            sent += 1
    except OSError:
        # No interface yet, down, or gone.
        if door is not None:
            door.close()
            door = None
    time.sleep(0.002)
sys.stdout.write(f"{sent}\n")
