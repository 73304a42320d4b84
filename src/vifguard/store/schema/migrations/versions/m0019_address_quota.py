"""A project's addresses are counted."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the index that finds a project's addresses without reading all."""
    op.create_index("ix_allocations_project_id", "allocations", ["project_id"])
