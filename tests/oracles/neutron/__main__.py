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
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.api_servers import Server, neutron, postgresql, vifguard
from tests.oracles.neutron.asking import Ask, World
from tests.oracles.neutron.grammar import cases
from tests.oracles.neutron.table import kind_of, lines, record

_PATIENCE = 40.0
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

    return ask


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
        peer = World.made(asking(stack.enter_context(neutron(room / "neutron", theirs))))
        own = stack.enter_context(vifguard("vifguard", room / "vifguard", None))
        return compare(peer, World.made(asking(own)))


def tell(what: str) -> None:
    """Write a line, at once."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def compare(peer: World, own: World) -> int:
    """Ask both every case, and tell what is unexplained; the exit code."""
    answers: dict[str, str] = {}
    seen, unexplained = set(), 0
    for case in cases():
        answers[case.key] = neutrons = peer.outcome(case)
        ours = own.outcome(case)
        if neutrons == ours:
            continue
        line = kind_of(case.key, neutrons, ours)
        seen.add(line)
        if line is None:
            unexplained += 1
            tell(f"{case.key}\n    Neutron {neutrons}\n    ours    {ours}")
    record(answers)
    unshown = [line.what for line in lines() if line not in seen]
    for what in unshown:
        tell(f"no request showed: {what}")
    tell(f"{len(answers)} cases, {unexplained} unexplained differences, {len(unshown)} idle lines")
    return 1 if unexplained or unshown else 0


if __name__ == "__main__":
    sys.exit(main())
