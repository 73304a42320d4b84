"""The first release."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and the one row of the revision."""
    _hosts()
    _journal()
    _networks()
    _revision()
    _ip_groups()
    _ports()
    _subnets()
    _address_pairs()
    _allocations()
    _enforcements()
    _events()
    _free_ranges()
    _holders()
    _ip_group_members()
    # An agent that knows nothing names 0, so the first revision is 1.
    op.execute("INSERT INTO revision (id, value, journal_from) VALUES (1, 1, 1)")


def _hosts() -> None:
    op.create_table(
        "hosts",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("kernel", sa.String(length=255), nullable=False),
        sa.Column("driver", sa.String(length=64), nullable=False),
        sa.Column("features", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("missing", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("floor", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("isolation", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hosts")),
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=True),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_host_revision"), "journal", ["host", "revision"], unique=False)
    op.create_index(op.f("ix_journal_revision"), "journal", ["revision"], unique=False)


def _networks() -> None:
    op.create_table(
        "networks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("physical", sa.String(length=64), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("profile", sa.String(length=16), nullable=True),
        sa.Column("guards", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("link_local", sa.String(length=16), nullable=False),
        sa.Column("storm_rate", sa.Integer(), nullable=False),
        sa.Column("storm_burst", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
    )
    op.create_index(op.f("ix_networks_project_id"), "networks", ["project_id"], unique=False)


def _revision() -> None:
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("journal_from", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision")),
    )


def _ip_groups() -> None:
    op.create_table(
        "ip_groups",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("vrid4", sa.Integer(), nullable=True),
        sa.Column("vrid6", sa.Integer(), nullable=True),
        sa.Column("pinned", sa.String(length=36), nullable=True),
        sa.Column("max_moves", sa.Integer(), nullable=True),
        sa.Column("held_by", sa.String(length=36), nullable=True),
        sa.Column("held_until", sa.Float(), nullable=True),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_ip_groups_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ip_groups")),
        sa.UniqueConstraint("network_id", "vrid4", name=op.f("uq_ip_groups_network_id_vrid4")),
        sa.UniqueConstraint("network_id", "vrid6", name=op.f("uq_ip_groups_network_id_vrid6")),
    )
    op.create_index(op.f("ix_ip_groups_held_until"), "ip_groups", ["held_until"], unique=False)
    op.create_index(op.f("ix_ip_groups_project_id"), "ip_groups", ["project_id"], unique=False)


def _ports() -> None:
    op.create_table(
        "ports",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=6), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("profile", sa.String(length=16), nullable=True),
        sa.Column("guards", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("roles", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("ethertypes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("storm_rate", sa.Integer(), nullable=True),
        sa.Column("storm_burst", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("interface", sa.String(length=16), nullable=False),
        sa.Column("device_id", sa.String(length=255), nullable=False),
        sa.Column("device_owner", sa.String(length=255), nullable=False),
        sa.Column("vnic_type", sa.String(length=32), nullable=False),
        sa.Column("binding_profile", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("policy_revision", sa.BigInteger(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_ports_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ports")),
        sa.UniqueConstraint("network_id", "mac", name=op.f("uq_ports_network_id_mac")),
    )
    op.create_index(op.f("ix_ports_device_id"), "ports", ["device_id"], unique=False)
    op.create_index(op.f("ix_ports_host"), "ports", ["host"], unique=False)
    op.create_index(op.f("ix_ports_project_id"), "ports", ["project_id"], unique=False)


def _subnets() -> None:
    op.create_table(
        "subnets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("gateway", sa.String(length=64), nullable=True),
        sa.Column("pools", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("nameservers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("host_routes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("ipv6_address_mode", sa.String(length=32), nullable=True),
        sa.Column("ipv6_ra_mode", sa.String(length=32), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name=op.f("fk_subnets_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnets")),
    )
    op.create_index(op.f("ix_subnets_network_id"), "subnets", ["network_id"], unique=False)


def _address_pairs() -> None:
    op.create_table(
        "address_pairs",
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=6), nullable=True),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_address_pairs_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("port_id", "position", name=op.f("pk_address_pairs")),
    )
    op.create_index(
        op.f("ix_address_pairs_network_id_first"),
        "address_pairs",
        ["network_id", "first"],
        unique=False,
    )
    op.create_index(
        op.f("ix_address_pairs_network_id_mac"),
        "address_pairs",
        ["network_id", "mac"],
        unique=False,
    )
    op.create_index(
        op.f("ix_address_pairs_network_id_project_id"),
        "address_pairs",
        ["network_id", "project_id"],
        unique=False,
    )


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.Column("group_id", sa.String(length=36), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["ip_groups.id"], name=op.f("fk_allocations_group_id")
        ),
        sa.ForeignKeyConstraint(["port_id"], ["ports.id"], name=op.f("fk_allocations_port_id")),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_allocations_subnet_id")
        ),
        sa.PrimaryKeyConstraint("network_id", "address", name=op.f("pk_allocations")),
    )
    op.create_index(op.f("ix_allocations_group_id"), "allocations", ["group_id"], unique=False)
    op.create_index(op.f("ix_allocations_port_id"), "allocations", ["port_id"], unique=False)
    op.create_index(op.f("ix_allocations_subnet_id"), "allocations", ["subnet_id"], unique=False)


def _enforcements() -> None:
    op.create_table(
        "enforcements",
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("interface", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_enforcements_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_enforcements")),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("from_port_id", sa.String(length=36), nullable=True),
        sa.Column("to_port_id", sa.String(length=36), nullable=False),
        sa.Column("gap", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["ip_groups.id"], name=op.f("fk_events_group_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_group_id_id"), "events", ["group_id", "id"], unique=False)


def _free_ranges() -> None:
    op.create_table(
        "free_ranges",
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("first", sa.LargeBinary(length=17), nullable=False),
        sa.Column("last", sa.LargeBinary(length=17), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_free_ranges_subnet_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subnet_id", "first", name=op.f("pk_free_ranges")),
    )


def _holders() -> None:
    op.create_table(
        "holders",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.LargeBinary(length=17), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("seen", sa.Float(), nullable=False),
        sa.Column("claimed", sa.Float(), nullable=False),
        sa.Column("previous_port_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_id"], ["ip_groups.id"], name=op.f("fk_holders_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_holders_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "address", name=op.f("pk_holders")),
    )
    op.create_index(op.f("ix_holders_port_id"), "holders", ["port_id"], unique=False)


def _ip_group_members() -> None:
    op.create_table(
        "ip_group_members",
        sa.Column("group_id", sa.String(length=36), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["ip_groups.id"],
            name=op.f("fk_ip_group_members_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_ip_group_members_port_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group_id", "port_id", name=op.f("pk_ip_group_members")),
    )
    op.create_index(
        op.f("ix_ip_group_members_port_id"), "ip_group_members", ["port_id"], unique=False
    )
