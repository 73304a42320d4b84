"""The pieces of wide address pairs are bounded for each project of a network by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

_PROJECT = (
    "UPDATE pair_pieces SET project_id = COALESCE((SELECT MIN(project_id) FROM address_pairs"
    " WHERE address_pairs.network_id = pair_pieces.network_id"
    " AND address_pairs.first = pair_pieces.pair_first"
    " AND address_pairs.length = pair_pieces.pair_length), '')"
)
_BROKEN = (
    "INSERT INTO pair_shares SELECT network_id, project_id, COUNT(*) FROM pair_pieces"
    " WHERE length <> pair_length GROUP BY network_id, project_id"
)
# Which of its projects has too many is not known of a closed network: each that could is closed,
# until an owner of it goes.
_CLOSED = (
    "INSERT INTO pair_shares SELECT DISTINCT network_id, project_id, 1025 FROM address_pairs"
    " WHERE network_id IN (SELECT id FROM networks WHERE pieces > 1024)"
)


def upgrade() -> None:
    """Write each project's share; what is closed stays so until an owner goes."""
    op.add_column(
        "pair_pieces",
        sa.Column("project_id", sa.String(length=64), server_default="", nullable=False),
    )
    op.execute(sa.text(_PROJECT))
    columns = ["network_id", "project_id"]
    op.create_index("ix_pair_pieces_network_id_project_id", "pair_pieces", columns)
    op.create_table(
        "pair_shares",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "project_id", name=op.f("pk_pair_shares")),
    )
    op.execute(sa.text(_BROKEN))
    op.execute(sa.text(_CLOSED))
    op.drop_column("networks", "pieces")
