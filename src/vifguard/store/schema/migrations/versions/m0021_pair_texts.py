"""Address pairs as their owners wrote them; existing ones are shown as before."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the texts, empty where they were not kept."""
    for name, length in (("prefix_text", 64), ("mac_text", 17)):
        column = sa.Column(name, sa.String(length), server_default="", nullable=False)
        op.add_column("address_pairs", column)
