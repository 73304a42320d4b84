"""The store has an identity; a host's row has the run of its agent, and the agent's state."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Give this store its identity, and add columns of the hosts' reports."""
    identity = op.create_table("identity", sa.Column("id", sa.String(36), primary_key=True))
    op.bulk_insert(identity, [{"id": str(uuid4())}])
    for column in (
        sa.Column("degraded", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("lost", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("instance", sa.String(64), server_default="", nullable=False),
        sa.Column("pins", sa.String(64), server_default="", nullable=False),
    ):
        op.add_column("hosts", column)
