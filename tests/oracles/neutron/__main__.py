"""Ask Neutron and vifguard the same, side by side; every difference has a line of the table.

`python -m tests.oracles.neutron` exits 1 where a difference has none, or a line has none.
Neutron's answers are written down for `test_recorded.py`.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from bench.api_servers import Server, neutron, postgresql, vifguard
from tests.oracles.neutron.asking import Ask, World
from tests.oracles.neutron.grammar import NOUNS, Case, cases
from tests.oracles.neutron.table import explained, record

_AT_ONCE = 3
_AGAIN = 10
_PATIENCE = 12.0
"""Some requests end in retries of Neutron's that go on for minutes: it gives no answer."""


def asking(server: Server) -> Ask:
    """How to ask a server that answers on a port of loopback; a connection that ends is remade."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE)

    def ask(method: str, path: str, body: Any) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body).encode()
        headers = {} if sent is None else {"Content-Type": "application/json"}
        for again in (True, False):
            try:
                connection.request(method, f"/v2.0/{path}", sent, headers)
                answer = connection.getresponse()
                told = answer.read()
                break
            except TimeoutError:
                connection.close()
                return 0, "no answer"
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                if not again:
                    raise
        return answer.status, _document(told)

    def asked_again(method: str, path: str, body: Any) -> tuple[int, Any]:
        # Neutron's workers refuse some of what they are asked at once until they are warm.
        for _ in range(_AGAIN):
            status, told = ask(method, path, body)
            if status != 403:
                break
            time.sleep(0.5)
        return status, told

    return asked_again


def _document(told: bytes) -> Any:
    try:
        return json.loads(told)
    except ValueError:
        return told.decode(errors="replace")


def main() -> int:
    """The exit code."""
    with ExitStack() as stack:
        room = Path(tempfile.mkdtemp(prefix="vifguard-diff-"))
        stack.callback(shutil.rmtree, room, ignore_errors=True)
        theirs = stack.enter_context(postgresql(room / "p"))
        peer = stack.enter_context(neutron(room / "neutron", theirs))
        own = stack.enter_context(vifguard("vifguard", room / "vifguard", None))
        return compare(asked(peer), asked(own))


def asked(server: Server) -> dict[str, str]:
    """What a server answers to every case: changes of each noun beside each other, then lists."""
    world = World.made(asking(server))
    every = cases()
    changes = [[c for c in every if c.noun is noun and c.verb != "GET"] for noun in NOUNS]

    def ask(some: list[Case]) -> dict[str, str]:
        return World(asking(server), world.ids).outcomes(some)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = dict(chain.from_iterable(each.items() for each in threads.map(ask, changes)))
    found |= world.outcomes([case for case in every if case.verb == "GET"])
    return {case.key: found[case.key] for case in every}


def compare(neutrons: dict[str, str], ours: dict[str, str]) -> int:
    """Tell what is unexplained, and write Neutron's answers down; the exit code."""
    record(neutrons)
    unexplained, idle = explained(neutrons, ours)
    for key in unexplained:
        tell(f"{key}\n    Neutron {neutrons[key]}\n    ours    {ours[key]}")
    for line in idle:
        tell(f"no request showed: {line.what}")
    tell(f"{len(ours)} cases, {len(unexplained)} unexplained differences, {len(idle)} idle lines")
    return 1 if unexplained or idle else 0


def tell(what: str) -> None:
    """Write a line."""
    sys.stdout.write(f"{what}\n")


if __name__ == "__main__":
    sys.exit(main())
