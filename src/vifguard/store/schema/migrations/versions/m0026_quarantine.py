"""What hosts say of their quarantine is kept by its name; it was called floor."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Rename the column, and the cause of losses."""
    op.execute(sa.text("ALTER TABLE hosts RENAME COLUMN floor TO quarantine"))
    hosts = sa.table("hosts", sa.column("name"), sa.column("lost", sa.JSON(none_as_null=True)))
    connection = op.get_bind()
    for name, lost in connection.execute(sa.select(hosts.c.name, hosts.c.lost)).all():
        if lost and "floor" in lost:
            renamed = {"quarantine" if k == "floor" else k: many for k, many in lost.items()}
            op.execute(hosts.update().where(hosts.c.name == name).values(lost=renamed))
