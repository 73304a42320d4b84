"""Tags: words that the owner of a noun puts on it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_NOUNS = (
    "networks",
    "subnets",
    "ports",
    "ip_groups",
    "security_groups",
    "security_group_rules",
    "address_groups",
)


def upgrade() -> None:
    """Add the column to every noun; none is no tag."""
    for noun in _NOUNS:
        op.add_column(noun, sa.Column("tags", sa.JSON(none_as_null=True), nullable=True))
