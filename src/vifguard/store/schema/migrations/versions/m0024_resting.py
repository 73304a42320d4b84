"""Addresses that rest after they were given back; those that are free already do not."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "resting",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "address", name=op.f("pk_resting")),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_resting_subnet_id"), ondelete="CASCADE"
        ),
    )
    op.create_index("ix_resting_subnet_id_until", "resting", ["subnet_id", "until"])
