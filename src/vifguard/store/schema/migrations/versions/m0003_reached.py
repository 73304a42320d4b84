"""The revision that each host has reached."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the revision up to which a host reports that it enforces everything."""
    op.add_column(
        "hosts", sa.Column("reached", sa.BigInteger(), server_default="0", nullable=False)
    )
