"""Of networks whose wide address pairs break into too many pieces, these pieces are not kept."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Remove them; the count says no more than that they are too many."""
    op.execute(
        sa.text(
            "DELETE FROM pair_pieces WHERE length <> pair_length"
            " AND network_id IN (SELECT id FROM networks WHERE pieces > 1024)"
        )
    )
    op.execute(sa.text("UPDATE networks SET pieces = 1025 WHERE pieces > 1024"))
