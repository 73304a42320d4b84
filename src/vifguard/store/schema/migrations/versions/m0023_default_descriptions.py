"""The default rules that came with the store are described, as Neutron describes its own."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

_CAME_WITH_IT = 4


def upgrade() -> None:
    """Describe those of them that were not deleted."""
    rules = sa.table(
        "default_rules",
        *(sa.column(name) for name in ("direction", "description", "created_at")),
    )
    for direction, way in (("from-guest", "egress"), ("to-guest", "ingress")):
        op.execute(
            rules.update()
            .where(rules.c.created_at < _CAME_WITH_IT, rules.c.direction == direction)
            .values(description=f"Legacy default SG rule for {way} traffic")
        )
