"""Network namespaces: what runs in one, how it is set up, and what is awaited there."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATIENCE = 60.0
_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


def run(*command: str, check: bool = True, stdin: str = "") -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, input=stdin)
    assert not check or not done.returncode, f"{command}: {done.stderr}"
    return done.stdout


def within(netns: str, work: Callable[[], Any]) -> Any:
    """What `work` returns when it runs in a namespace; a socket stays where it was made."""

    def enter() -> Any:
        with Path("/run/netns", netns).open() as there:
            if _LIBC.setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), netns)
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


def eventually(holds: Callable[[], Any], what: str = "") -> Any:
    """What `holds` returns, once that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline, what or "it did not come true"
        time.sleep(0.005)
    return found


def in_namespace(netns: str, script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{netns}", sys.executable, str(HERE / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def no_ipv6() -> None:
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")


def no_netfilter() -> None:
    for name in ("iptables", "ip6tables", "arptables"):
        switch = Path(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if switch.exists():
            switch.write_text("0")
