"""Addresses that guests choose themselves; existing networks learn none until limits are set."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the table, and to each network the most addresses that its ports may learn: none."""
    op.create_table(
        "learned_addresses",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=6), nullable=False),
        sa.Column("proven", sa.Boolean(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "address", name=op.f("pk_learned_addresses")),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["ports.id"],
            name=op.f("fk_learned_addresses_port_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index(op.f("ix_learned_addresses_port_id"), "learned_addresses", ["port_id"])
    for name in ("learned_link_local", "learned_others"):
        op.add_column("networks", sa.Column(name, sa.Integer(), server_default="0", nullable=False))
