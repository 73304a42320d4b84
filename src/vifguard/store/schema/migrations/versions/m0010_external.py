"""Networks that the operator calls external."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; so far none was."""
    op.add_column(
        "networks",
        sa.Column("external", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
