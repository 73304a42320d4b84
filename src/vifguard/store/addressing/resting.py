"""Addresses that rest: released on a shared network, and for a while no other project's.

Neighbours, allow-lists and the DNS go on naming an address after its port is gone. Until the
time is over by the database's clock it is in no free range: the store chooses another while a
pool has one, and the same project gets it again by naming it. It rests on its network: a subnet
that is deleted and made again finds it so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Float, LargeBinary, String, bindparam, case, delete, insert, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from vifguard.model.address import IPAddress
from vifguard.model.network import Subnet
from vifguard.store.database.statements import Statement
from vifguard.store.errors import AddressTakenError
from vifguard.store.schema.mapping import address_of, key
from vifguard.store.schema.tables import resting
from vifguard.store.transaction import WriteTransaction

_AT_ONCE = 64
"""The most addresses that one change reads: any whose time is over will do."""


class now(FunctionElement[float]):  # noqa: N801  written as the function it is
    """Seconds since the epoch by the database's clock, the same for all servers."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(_element: now, _compiler: SQLCompiler, **_words: object) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(_element: now, _compiler: SQLCompiler, **_words: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


_R = resting.c
_THIS = (_R.network_id == bindparam("network_id"), _R.address == bindparam("address"))
_REST = Statement(
    insert(resting).from_select(
        ["network_id", "address", "subnet_id", "project_id", "until"],
        select(
            bindparam("network_id", type_=String),
            bindparam("address", type_=LargeBinary),
            bindparam("subnet_id", type_=String),
            bindparam("project_id", type_=String),
            now() + bindparam("seconds", type_=Float),
        ),
    )
)
_AT = Statement(select(_R.project_id, _R.until, (_R.until > now()).label("rests")).where(*_THIS))
_END_REST = Statement(delete(resting).where(*_THIS))
_ADOPT = Statement(
    update(resting)
    .where(
        _R.network_id == bindparam("this_network"),
        _R.address.between(bindparam("lowest"), bindparam("highest")),
    )
    .values(subnet_id=bindparam("this_subnet"))
)
_FORGET = Statement(
    delete(resting).where(
        _R.network_id == bindparam("this_network"), _R.subnet_id.is_(None), _R.until <= now()
    )
)
_RESTED = Statement(
    select(_R.address)
    .where(_R.subnet_id == bindparam("subnet_id"), _R.until <= now())
    .order_by(_R.until)
    .limit(_AT_ONCE)
)
_RECLAIMABLE = Statement(
    select(_R.address)
    .where(_R.subnet_id == bindparam("subnet_id"))
    .order_by(case((_R.project_id == bindparam("project_id"), 0), else_=1), _R.until)
    .limit(_AT_ONCE)
)


def rest(change: WriteTransaction, subnet: Subnet, address: IPAddress, project_id: str) -> None:
    """Make an address that a project released rest from now on."""
    whose = {"subnet_id": subnet.id, "project_id": project_id, "seconds": change.rest}
    change.write(_REST, _this(subnet, address) | whose)


def adopt(change: WriteTransaction, subnet: Subnet) -> None:
    """Move the rests within a new subnet's range to it."""
    ends = {"lowest": key(subnet.cidr[0]), "highest": key(subnet.cidr[-1])}
    change.write(_FORGET, {"this_network": subnet.network_id})
    change.write(_ADOPT, ends | {"this_network": subnet.network_id, "this_subnet": subnet.id})


def claim_from_rest(
    change: WriteTransaction, subnet: Subnet, address: IPAddress, project_id: str | None
) -> None:
    """Check that an address may be taken, and end its rest.

    Raises AddressTakenError where it rests for another than this project; None stands for the
    operator's choice, who may give it at once.
    """
    for row in change.rows(_AT, _this(subnet, address)):
        if row.rests and project_id not in {None, row.project_id}:
            until = datetime.fromtimestamp(int(row.until) + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise AddressTakenError(
                f"IP address {address} already allocated in network {subnet.network_id}: "
                f"another project released it a moment ago, and it rests until {until}; "
                "choose another, or wait until then."
            )
        end_rest(change, subnet, address)


def end_rest(change: WriteTransaction, subnet: Subnet, address: IPAddress) -> None:
    """End the rest of an address."""
    change.write(_END_REST, _this(subnet, address))


def rested(change: WriteTransaction, subnet: Subnet) -> Iterator[IPAddress]:
    """End the rest of a subnet's addresses whose time is over; yield them, the longest first."""
    for row in change.rows(_RESTED, {"subnet_id": subnet.id}):
        address = address_of(row.address)
        end_rest(change, subnet, address)
        yield address


def reclaimable_addresses(
    change: WriteTransaction, subnet: Subnet, project_id: str
) -> list[IPAddress]:
    """Addresses to take of a subnet with no free one: the project's own, then the oldest."""
    rows = change.rows(_RECLAIMABLE, {"subnet_id": subnet.id, "project_id": project_id})
    return [address_of(row.address) for row in rows]


def _this(subnet: Subnet, address: IPAddress) -> dict[str, object]:
    return {"network_id": subnet.network_id, "address": key(address)}
