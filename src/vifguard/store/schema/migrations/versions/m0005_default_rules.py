"""The rules that new security groups begin with, which the operator may choose."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table, and in it the rules that new groups began with before there was a choice."""
    table = op.create_table(
        "default_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=True),
        sa.Column("protocol_word", sa.String(length=16), nullable=True),
        sa.Column("low", sa.Integer(), nullable=True),
        sa.Column("high", sa.Integer(), nullable=True),
        sa.Column("remote_prefix", sa.String(length=64), nullable=True),
        sa.Column("remote_group_id", sa.String(length=36), nullable=True),
        sa.Column("meaning", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("in_default", sa.Boolean(), nullable=False),
        sa.Column("in_others", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_default_rules")),
    )
    kinds = [
        (direction, version, remote)
        for direction, remote in (("from-guest", None), ("to-guest", "PARENT"))
        for version in (4, 6)
    ]
    rows = [
        {
            "id": str(uuid4()),
            "direction": direction,
            "version": version,
            "remote_group_id": remote,
            "meaning": f"{direction} {version} any any any {remote or 'any'}",
            "description": "",
            "in_default": True,
            "in_others": remote is None,
            "created_at": order,
        }
        for order, (direction, version, remote) in enumerate(kinds)
    ]
    op.bulk_insert(table, rows)
