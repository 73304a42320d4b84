"""The host of an isolated network has an index: finding it costs the same with any ports."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the order of a network's ports by their hosts."""
    op.create_index("ix_ports_network_id_host", "ports", ["network_id", "host"])
