"""The wiring of a host that is no port's, and the addresses that hosts themselves have."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column and the table; hosts report both anew."""
    op.add_column("hosts", sa.Column("wiring", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "host_addresses",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("physical", sa.String(length=64), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.PrimaryKeyConstraint("host", "physical", "address", name=op.f("pk_host_addresses")),
    )
    op.create_index("ix_host_addresses_physical_address", "host_addresses", ["physical", "address"])
