"""The wiring of a port, as its host reported it."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the column; empty until the host reports the port again."""
    column = sa.Column("wiring", sa.String(length=64), nullable=False, server_default="")
    op.add_column("enforcements", column)
