"""Clients' attributes of DNS, DHCP and zones, which are kept and shown again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns, empty."""
    for noun, name in (("networks", "dns_domain"), ("ports", "dns_domain"), ("ports", "dns_name")):
        column = sa.Column(name, sa.String(length=255), server_default="", nullable=False)
        op.add_column(noun, column)
    op.add_column("networks", sa.Column("zone_hints", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("ports", sa.Column("dhcp_options", sa.JSON(none_as_null=True), nullable=True))
