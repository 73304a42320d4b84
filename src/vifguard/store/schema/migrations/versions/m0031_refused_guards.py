"""The guards that a driver of a host cannot enforce, as the host reported them."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the column; empty until the host reports again."""
    op.add_column("hosts", sa.Column("refused_guards", sa.JSON(none_as_null=True), nullable=True))
