"""Lists of ports are cut where they are read: their order has an index."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the order of all ports, and that of a project's in the place of no order."""
    op.create_index("ix_ports_created_at_id", "ports", ["created_at", "id"])
    op.create_index(
        "ix_ports_project_id_created_at_id", "ports", ["project_id", "created_at", "id"]
    )
    op.drop_index("ix_ports_project_id", "ports")
