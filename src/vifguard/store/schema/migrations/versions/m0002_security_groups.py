"""Security groups, their rules, address groups, and the subscriptions of hosts to them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables; the ports there are stay as they were: no group filters them."""
    op.add_column(
        "ports", sa.Column("grouped", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    _security_groups()
    _address_groups()
    _security_group_rules()
    _port_security_groups()
    _set_prefixes()
    _set_journal()
    _host_groups()
    _host_sets()


def _stamp() -> tuple[sa.Column[int], ...]:
    return (
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
    )


def _security_groups() -> None:
    op.create_table(
        "security_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("rules_revision", sa.BigInteger(), nullable=False),
        *_stamp(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_groups")),
        sa.UniqueConstraint("default_of", name=op.f("uq_security_groups_default_of")),
    )
    for column in ("project_id", "rules_revision"):
        op.create_index(op.f(f"ix_security_groups_{column}"), "security_groups", [column])


def _address_groups() -> None:
    op.create_table(
        "address_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        *_stamp(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_groups")),
    )
    op.create_index(op.f("ix_address_groups_project_id"), "address_groups", ["project_id"])


def _security_group_rules() -> None:
    op.create_table(
        "security_group_rules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=True),
        sa.Column("protocol_word", sa.String(length=16), nullable=True),
        sa.Column("low", sa.Integer(), nullable=True),
        sa.Column("high", sa.Integer(), nullable=True),
        sa.Column("remote_prefix", sa.String(length=64), nullable=True),
        sa.Column("remote_group_id", sa.String(length=36), nullable=True),
        sa.Column("remote_address_group_id", sa.String(length=36), nullable=True),
        sa.Column("meaning", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        *_stamp(),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=op.f(f"fk_security_group_rules_{column}")
            )
            for column, table in (
                ("group_id", "security_groups"),
                ("remote_group_id", "security_groups"),
                ("remote_address_group_id", "address_groups"),
            )
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group_rules")),
        sa.UniqueConstraint(
            "group_id", "meaning", name=op.f("uq_security_group_rules_group_id_meaning")
        ),
    )
    for column in ("project_id", "remote_group_id", "remote_address_group_id"):
        op.create_index(op.f(f"ix_security_group_rules_{column}"), "security_group_rules", [column])


def _port_security_groups() -> None:
    op.create_table(
        "port_security_groups",
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["security_groups.id"], name=op.f("fk_port_security_groups_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["ports.id"],
            name=op.f("fk_port_security_groups_port_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("port_id", "group_id", name=op.f("pk_port_security_groups")),
    )
    op.create_index(op.f("ix_port_security_groups_group_id"), "port_security_groups", ["group_id"])


def _set_prefixes() -> None:
    op.create_table(
        "set_prefixes",
        sa.Column("set_id", sa.String(length=36), nullable=False),
        sa.Column("first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("length", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint(
            "set_id", "first", "length", "port_id", name=op.f("pk_set_prefixes")
        ),
    )


def _set_journal() -> None:
    op.create_table(
        "set_journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("set_id", sa.String(length=36), nullable=False),
        sa.Column("first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_set_journal")),
    )
    op.create_index(op.f("ix_set_journal_revision"), "set_journal", ["revision"])


def _host_groups() -> None:
    op.create_table(
        "host_groups",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("ports", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "group_id", name=op.f("pk_host_groups")),
    )
    op.create_index(op.f("ix_host_groups_group_id"), "host_groups", ["group_id"])
    op.create_index(op.f("ix_host_groups_host_since"), "host_groups", ["host", "since"])


def _host_sets() -> None:
    op.create_table(
        "host_sets",
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("set_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "set_id", name=op.f("pk_host_sets")),
    )
    op.create_index(op.f("ix_host_sets_set_id"), "host_sets", ["set_id"])
    op.create_index(op.f("ix_host_sets_host_since"), "host_sets", ["host", "since"])
