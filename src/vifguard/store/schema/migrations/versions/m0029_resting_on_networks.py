"""Addresses rest on their network, whatever becomes of the subnet that they were of."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Make the table again, with its rows."""
    rows = op.get_bind().execute(sa.text("SELECT * FROM resting")).mappings().all()
    op.drop_table("resting")
    resting = op.create_table(
        "resting",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "address", name=op.f("pk_resting")),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_resting_network_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_resting_subnet_id"), ondelete="SET NULL"
        ),
    )
    op.create_index("ix_resting_subnet_id_until", "resting", ["subnet_id", "until"])
    if rows:
        op.bulk_insert(resting, [dict(row) for row in rows])
