"""Objects shared with single projects; a shared network is one that is shared with all."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table, and a row for each network that is shared."""
    table = op.create_table(
        "rbac_policies",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rbac_policies")),
        sa.UniqueConstraint("object_id", "target", name=op.f("uq_rbac_policies_object_id_target")),
    )
    op.create_index(op.f("ix_rbac_policies_project_id"), "rbac_policies", ["project_id"])
    op.create_index(op.f("ix_rbac_policies_target_kind"), "rbac_policies", ["target", "kind"])
    networks = sa.table(
        "networks", sa.column("id"), sa.column("project_id"), sa.column("shared", sa.Boolean())
    )
    shared = op.get_bind().execute(
        sa.select(networks.c.id, networks.c.project_id).where(networks.c.shared)
    )
    rows = [
        {
            "id": str(uuid4()),
            "project_id": each.project_id,
            "kind": "network",
            "object_id": each.id,
            "target": "*",
        }
        for each in shared
    ]
    if rows:
        op.bulk_insert(table, rows)
