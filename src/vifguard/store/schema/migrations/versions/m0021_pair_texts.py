"""Address pairs as their owners wrote them; those that are there are shown as before."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the texts, empty for what was not kept."""
    for name, length in (("prefix_text", 64), ("mac_text", 17)):
        column = sa.Column(name, sa.String(length), server_default="", nullable=False)
        op.add_column("address_pairs", column)
