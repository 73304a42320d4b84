"""How far each host has come."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the revision up to which a host says that it holds everything."""
    op.add_column(
        "hosts", sa.Column("reached", sa.BigInteger(), server_default="0", nullable=False)
    )
