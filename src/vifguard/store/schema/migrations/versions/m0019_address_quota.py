"""A project's addresses are counted."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Find the addresses of a project without looking at all."""
    op.create_index("ix_allocations_project_id", "allocations", ["project_id"])
