"""Lists of networks, as clients ask for one: by name, by id, the first; beside showing it.

The answers take turns, so that other load of the machine meets them all alike. The result is each
one's time in multiples of showing one network by its id.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

from bench.api_servers import ApiClient, Server, both
from bench.result import Goal

_BULK = 500
_BOUND = 3.0


def measure(*, quick: bool) -> dict[str, Any]:
    """Milliseconds of each answer, and its ratio to showing one, on each database."""
    many, rounds = (200, 20) if quick else (2000, 200)
    with both() as servers:
        return {"lists": [row for server in servers for row in _of(server, many, rounds)]}


def _of(server: Server, many: int, rounds: int) -> list[dict[str, Any]]:
    door = ApiClient(server)
    ids: list[str] = []
    while len(ids) < many:
        names = [f"n{len(ids) + at}" for at in range(min(_BULK, many - len(ids)))]
        body = {"networks": [{"name": name} for name in names]}
        told = json.loads(door.call("POST", "/v2.0/networks", body))
        ids += [each["id"] for each in told["networks"]]
    taken: dict[str, list[float]] = {}
    for turn in range(rounds):
        at = turn * 7919 % many
        asked = {
            "show": f"/{ids[at]}",
            "?id=": f"?id={ids[at]}",
            "?name=": f"?name=n{at}",
            "?limit=1": "?limit=1",
            "?limit=1&marker=": f"?limit=1&marker={ids[at - 1]}" if at else "?limit=1",
        }
        for what, query in asked.items():
            before = door.seconds
            door.call("GET", f"/v2.0/networks{query}")
            taken.setdefault(what, []).append((door.seconds - before) * 1e3)
    medians = {what: statistics.median(each) for what, each in taken.items()}
    return [
        {
            "server": server.name,
            "networks": many,
            "asked": what,
            "ms": median,
            "ratio": median / medians["show"],
        }
        for what, median in medians.items()
    ]


def goals(figures: dict[str, Any]) -> list[Goal]:
    """None takes more than three times as long as showing one."""
    return [
        Goal(f"{row['asked']}, {row['server']}", row["ratio"], _BOUND, "x showing one")
        for row in figures["lists"]
        if row["asked"] != "show"
    ]
