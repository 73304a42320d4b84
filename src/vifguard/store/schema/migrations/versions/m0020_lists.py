"""Lists by name and in pages: by an index, and not by reading every row."""

from alembic import op

revision = "0020"
down_revision = "0019"

_NOUNS = ("networks", "subnets", "ip_groups", "security_groups", "address_groups", "subnet_pools")


def upgrade() -> None:
    """Add the indexes."""
    for table in (*_NOUNS, "ports"):
        op.create_index(op.f(f"ix_{table}_name"), table, ["name"])
    for table in (*_NOUNS, "security_group_rules"):
        op.create_index(op.f(f"ix_{table}_created_at_id"), table, ["created_at", "id"])
