"""The pieces of wide address pairs, without addresses of other ports or IP groups there."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import ip_network, summarize_address_range
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the table, and fill it for the pairs that there are."""
    pieces = op.create_table(
        "pair_pieces",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("pair_first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("pair_length", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "first", name=op.f("pk_pair_pieces")),
    )
    op.create_index("ix_pair_pieces_first", "pair_pieces", ["first"])
    op.create_index(
        "ix_pair_pieces_network_id_pair_first", "pair_pieces", ["network_id", "pair_first"]
    )
    columns = ["network_id", "length", "first"]
    op.create_index("ix_address_pairs_network_id_length_first", "address_pairs", columns)
    op.add_column("networks", sa.Column("pieces", sa.Integer(), server_default="0", nullable=False))
    for network_id, owned in _owned().items():
        rows = [row | {"network_id": network_id} for row in _pieces(owned)]
        if rows:
            op.bulk_insert(pieces, rows)
        broken = sum(row["length"] != row["pair_length"] for row in rows)
        op.execute(
            sa.text("UPDATE networks SET pieces = :many WHERE id = :this").bindparams(
                many=broken, this=network_id
            )
        )


def _owned() -> dict[str, set[tuple[bytes, int]]]:
    """The owned prefixes of networks that a port lists pairs on."""
    found: dict[str, set[tuple[bytes, int]]] = defaultdict(set)
    execute = op.get_bind().execute
    for row in execute(sa.text("SELECT network_id, first, length FROM address_pairs")):
        found[row.network_id].add((bytes(row.first), row.length))
    for row in execute(sa.text("SELECT network_id, address FROM allocations")):
        if row.network_id in found:
            address = bytes(row.address)
            found[row.network_id].add((address, _bits(address)))
    return found


def _pieces(owned: set[tuple[bytes, int]]) -> list[dict[str, Any]]:
    """The pieces of each wide prefix that no narrower one holds; enclosing prefixes come first."""
    rows: list[dict[str, Any]] = []
    open_: list[list[Any]] = []

    def give(until: int) -> None:
        first, length, start, _ = open_[-1]
        rows.extend(_rows((first, length), start, until))
        open_[-1][2] = max(start, until + 1)

    for first, length in sorted(owned):
        start = int.from_bytes(first, "big")
        last = start + (1 << _bits(first) - length) - 1
        while open_ and open_[-1][3] < start:
            give(open_[-1][3])
            open_.pop()
        if open_:
            give(start - 1)
            open_[-1][2] = last + 1
        if length < _bits(first):
            open_.append([first, length, start, last])
    while open_:
        give(open_[-1][3])
        open_.pop()
    return rows


def _rows(pair: tuple[bytes, int], start: int, last: int) -> list[dict[str, Any]]:
    if start > last:
        return []
    size, family = len(pair[0]), pair[0][:1]
    ends = [ip_network(each.to_bytes(size, "big")[1:])[0] for each in (start, last)]
    return [
        {
            "first": family + each.network_address.packed,
            "length": each.prefixlen,
            "pair_first": pair[0],
            "pair_length": pair[1],
        }
        for each in summarize_address_range(*ends)
    ]


def _bits(address: bytes) -> int:
    return 8 * (len(address) - 1)
