"""Where an isolated network is has an index: to know it costs the same with any number of ports."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the order of a network's ports by their hosts."""
    op.create_index("ix_ports_network_id_host", "ports", ["network_id", "host"])
