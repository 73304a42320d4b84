"""Link-local addresses of IP groups, which no subnet has."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Allow taking an address without a subnet; so far each had one."""
    with op.batch_alter_table("allocations") as batch:
        batch.alter_column("subnet_id", existing_type=sa.String(36), nullable=True)
