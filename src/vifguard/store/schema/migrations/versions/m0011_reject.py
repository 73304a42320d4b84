"""Security groups that answer the peers that they turn away."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; so far all were silent."""
    op.add_column(
        "security_groups",
        sa.Column("reject", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
