"""The port that names an interface has an index: finding it costs the same with any number."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the order of ports by the interfaces that they name."""
    op.create_index("ix_ports_interface_host", "ports", ["interface", "host"])
