"""A request takes so many statements and batches of the database, and no more."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event
from tests.api.cloud import Cloud

from vifguard.store.database.statements import BoundStatement
from vifguard.store.schema.row_mapping import Record
from vifguard.store.store import Store

MOST = {
    "POST a port": (29, 6),
    "POST three ports": (61, 8),
    "GET a port": (1, 1),
    "PUT the name": (4, 2),
    "PUT the pairs": (15, 7),
    "PUT the addresses": (26, 8),
    "DELETE a port": (21, 5),
    "GET a network": (3, 3),
    "GET /address-groups": (3, 3),
    "GET /drops": (2, 2),
    "GET /ip-groups": (2, 2),
    "GET /network-ip-availabilities": (3, 3),
    "GET /networks": (3, 3),
    "GET /ports": (2, 2),
    "GET /rbac-policies": (1, 1),
    "GET /security-group-rules": (3, 3),
    "GET /security-groups": (4, 4),
    "GET /subnetpools": (2, 2),
    "GET /subnets": (1, 1),
}
"""By request: the statements, and the batches in which they go to the database."""


@dataclass
class Traffic:
    """The statements that a database was asked to run, and the batches they came in."""

    statements: int = 0
    batches: int = 0


@contextmanager
def traffic(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """The statements of a store within; the lock of a change is not counted."""
    counted = Traffic()
    database = store._database
    execute_batch = database.execute_batch
    lock = len(database.lock_statements)

    def count(
        connection: Connection,
        statements: Sequence[BoundStatement],
        then: Callable[[], None] | None = None,
    ) -> list[list[Record]]:
        counted.statements += len(statements) - (lock if statements[:lock] == locks else 0)
        counted.batches += 1
        return execute_batch(connection, statements, then)

    def count_one(*given: Any) -> None:
        if not given[2].startswith("BEGIN"):
            counted.statements += 1
            counted.batches += 1

    locks = list(database.lock_statements)
    event.listen(Engine, "before_cursor_execute", count_one)
    monkeypatch.setattr(database, "execute_batch", count)
    try:
        yield counted
    finally:
        monkeypatch.undo()
        event.remove(Engine, "before_cursor_execute", count_one)


def test_a_request_asks_no_more_than_this(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.has_host(groups=True)
    network = cloud.alice.network("10.0.0.0/24", "fd00::/64")
    new = {"network_id": network["id"]}
    cloud.alice.make("port", **new)  # with it the project's default group
    found: dict[str, tuple[int, int]] = {}

    def ask(request: str, path: str, body: Any = None) -> Any:
        with traffic(cloud.store, monkeypatch) as counted:
            user = cloud.admin if "avail" in path else cloud.alice
            answer = user.call(request.partition(" ")[0], path, body)
        assert answer.status_code < 300, answer.text
        found[request] = (counted.statements, counted.batches)
        return answer.json() if answer.content else None

    where = f"ports/{ask('POST a port', 'ports', {'port': new})['port']['id']}"
    ask("POST three ports", "ports", {"ports": [new] * 3})
    ask("GET a port", where)
    ask("PUT the name", where, {"port": {"name": "other"}})
    pair = {"ip_address": "10.0.0.200"}
    ask("PUT the pairs", where, {"port": {"allowed_address_pairs": [pair]}})
    ask("PUT the addresses", where, {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}})
    ask("DELETE a port", where)
    ask("GET a network", f"networks/{network['id']}")
    for path in sorted(MOST):
        if path.startswith("GET /"):
            ask(path, path.removeprefix("GET /"))
    assert found.keys() == MOST.keys()
    above = {each: found[each] for each in MOST if not _is_within(found[each], MOST[each])}
    assert not above, above


def _is_within(counted: tuple[int, int], most: tuple[int, int]) -> bool:
    return all(each <= limit for each, limit in zip(counted, most, strict=True))
