"""The tables. A migration states them a second time, frozen; a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    false,
)

from vifguard.store.schema import columns
from vifguard.store.schema.columns import ID, KEY, json, stamp, text

metadata = columns.metadata

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    # Changes after this revision are all in the journal; older ones may be gone from it.
    Column("journal_from", BigInteger, nullable=False),
)

networks = Table(
    "networks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    text("name"),
    Column("shared", Boolean, nullable=False),
    Column("public", Boolean, nullable=False),
    text("physical", 64),
    Column("mtu", Integer, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("profile", String(16)),
    json("guards"),
    Column("port_security_enabled", Boolean, nullable=False),
    text("link_local", 16),
    Column("storm_rate", Integer, nullable=False),
    Column("storm_burst", Integer, nullable=False),
    text("description"),
    *stamp(),
    Column("dns_domain", String(255), nullable=False, server_default=""),
    json("zone_hints"),
    Column("external", Boolean, nullable=False, server_default=false()),
    # The most addresses that ports may learn: link-local ones for each MAC, and others.
    Column("learned_link_local", Integer, nullable=False, server_default="0"),
    Column("learned_others", Integer, nullable=False, server_default="0"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

subnets = Table(
    "subnets",
    metadata,
    Column("id", ID, primary_key=True),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False, index=True),
    Column("project_id", String(64), nullable=False),
    text("cidr", 64),
    text("name"),
    Column("gateway", String(64)),
    json("pools"),
    Column("enable_dhcp", Boolean, nullable=False),
    json("nameservers"),
    json("host_routes"),
    Column("ipv6_address_mode", String(32)),
    Column("ipv6_ra_mode", String(32)),
    text("description"),
    *stamp(),
    Column("subnet_pool_id", ID, index=True),
    json("service_types"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

ports = Table(
    "ports",
    metadata,
    Column("id", ID, primary_key=True),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("mac", LargeBinary(6), nullable=False),
    text("name"),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("profile", String(16)),
    json("guards"),
    json("roles"),
    json("ethertypes"),
    Column("storm_rate", Integer),
    Column("storm_burst", Integer),
    Column("host", String(255), nullable=False, index=True),
    text("interface", 16),
    Column("device_id", String(255), nullable=False, index=True),
    text("device_owner"),
    text("vnic_type", 32),
    json("binding_profile"),
    text("description"),
    # The revision of the last change to the policy that the host must enforce for the port.
    Column("policy_revision", BigInteger, nullable=False),
    *stamp(),
    # Whether security groups filter the port; if they do and it has none, nothing passes.
    Column("grouped", Boolean, nullable=False, server_default=false()),
    Column("dns_name", String(255), nullable=False, server_default=""),
    Column("dns_domain", String(255), nullable=False, server_default=""),
    json("dhcp_options"),
    UniqueConstraint("network_id", "mac"),
    Index(None, "network_id", "host"),
    Index(None, "interface", "host"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
    Index(None, "project_id", "created_at", "id"),
)

enforcements = Table(
    "enforcements",
    metadata,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    text("host"),
    Column("revision", BigInteger, nullable=False),
    text("state", 16),
    text("interface", 64),
    text("reason", 1024),
    Column("driver", String(64), nullable=False, server_default=""),
    Column("wiring", String(64), nullable=False, server_default=""),
)

address_pairs = Table(
    "address_pairs",
    metadata,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("network_id", ID, nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("first", KEY, nullable=False),
    Column("length", Integer, nullable=False),
    Column("mac", LargeBinary(6)),
    text("prefix_text", 64),
    text("mac_text", 17),
    Index(None, "network_id", "first"),
    Index(None, "network_id", "mac"),
    Index(None, "network_id", "project_id"),
    Index(None, "network_id", "length", "first"),
)

# The pieces of wide address pairs, without others' addresses and narrower pairs.
# No two of a network overlap.
pair_pieces = Table(
    "pair_pieces",
    metadata,
    Column("network_id", ID, primary_key=True),
    Column("first", KEY, primary_key=True, index=True),
    Column("length", Integer, nullable=False),
    Column("pair_first", KEY, nullable=False),
    Column("pair_length", Integer, nullable=False),
    Column("project_id", String(64), nullable=False, server_default=""),
    Index(None, "network_id", "pair_first"),
    Index(None, "network_id", "project_id"),
)

# The number of pieces of a project's broken pairs; 1025 where they are too many, and none is kept.
# A project without any has no row.
pair_shares = Table(
    "pair_shares",
    metadata,
    Column("network_id", ID, primary_key=True),
    Column("project_id", String(64), primary_key=True),
    Column("pieces", Integer, nullable=False),
)

ip_groups = Table(
    "ip_groups",
    metadata,
    Column("id", ID, primary_key=True),
    Column("network_id", ID, ForeignKey("networks.id"), nullable=False),
    Column("project_id", String(64), nullable=False, index=True),
    text("name"),
    text("description"),
    Column("vrid4", Integer),
    Column("vrid6", Integer),
    Column("pinned", ID),
    Column("max_moves", Integer),
    # Moved too often: only `held_by` may hold the addresses, until the time `held_until`.
    Column("held_by", ID),
    Column("held_until", Float, index=True),
    *stamp(),
    UniqueConstraint("network_id", "vrid4"),
    UniqueConstraint("network_id", "vrid6"),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

ip_group_members = Table(
    "ip_group_members",
    metadata,
    Column("group_id", ID, ForeignKey("ip_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True, index=True),
)

# Every address that is taken on a network, by any owner: no other gets it.
allocations = Table(
    "allocations",
    metadata,
    Column("network_id", ID, primary_key=True),
    Column("address", KEY, primary_key=True),
    # None for the link-local address of an IP group.
    Column("subnet_id", ID, ForeignKey("subnets.id"), index=True),
    Column("project_id", String(64), nullable=False, index=True),
    Column("port_id", ID, ForeignKey("ports.id"), index=True),
    Column("group_id", ID, ForeignKey("ip_groups.id"), index=True),
    Column("position", Integer, nullable=False),
)

# Addresses that guests chose themselves: each of a network is one port's. Not proven: tentative.
learned_addresses = Table(
    "learned_addresses",
    metadata,
    Column("network_id", ID, primary_key=True),
    Column("address", KEY, primary_key=True),
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mac", LargeBinary(6), nullable=False),
    Column("proven", Boolean, nullable=False),
    Column("since", Float, nullable=False),
)

# Free ranges of the pools: taking the lowest free address reads one row, not all that are taken.
free_ranges = Table(
    "free_ranges",
    metadata,
    Column("subnet_id", ID, ForeignKey("subnets.id", ondelete="CASCADE"), primary_key=True),
    Column("first", KEY, primary_key=True),
    Column("last", KEY, nullable=False),
)

# Addresses released on a shared network a while ago: in no free range, and no other project's.
# To the subnet's pools they go back, if there is one.
resting = Table(
    "resting",
    metadata,
    Column("network_id", ID, ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True),
    Column("address", KEY, primary_key=True),
    Column("subnet_id", ID, ForeignKey("subnets.id", ondelete="SET NULL")),
    Column("project_id", String(64), nullable=False),
    Column("until", Float, nullable=False),
    Index(None, "subnet_id", "until"),
)

holders = Table(
    "holders",
    metadata,
    Column("group_id", ID, ForeignKey("ip_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("address", KEY, primary_key=True),
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("since", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("claimed", Float, nullable=False),
    Column("previous_port_id", ID),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("group_id", ID, ForeignKey("ip_groups.id", ondelete="CASCADE"), nullable=False),
    Column("at", Float, nullable=False),
    text("kind", 16),
    Column("address", KEY, nullable=False),
    Column("from_port_id", ID),
    Column("to_port_id", ID, nullable=False),
    Column("gap", Float),
    Index(None, "group_id", "id"),
)

hosts = Table(
    "hosts",
    metadata,
    Column("name", String(255), primary_key=True),
    text("kernel"),
    text("driver", 64),
    json("features"),
    json("missing"),
    json("quarantine"),
    Column("isolation", Boolean, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("reached", BigInteger, server_default="0", nullable=False),
    json("wiring"),
    json("degraded"),
    json("lost"),
    json("refused_guards"),
    # The run of the agent that is this host's, and the pins that it alone holds.
    Column("instance", String(64), server_default="", nullable=False),
    Column("pins", String(64), server_default="", nullable=False),
)

# The addresses that hosts themselves have where a physical network is mapped to a bridge.
host_addresses = Table(
    "host_addresses",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("physical", String(64), primary_key=True),
    Column("address", KEY, primary_key=True),
    Index(None, "physical", "address"),
)

# One row, made with the database: a backup that is restored has it again, another store does not.
identity = Table("identity", metadata, Column("id", ID, primary_key=True))

# Ports that changed, by host and revision. No port: any port of the host may have;
# no host: of every host.
journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("host", String(255)),
    Column("port_id", ID),
    Index(None, "host", "revision"),
)

security_groups = Table(
    "security_groups",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    text("name"),
    text("description"),
    Column("stateful", Boolean, nullable=False),
    Column("reject", Boolean, nullable=False),
    # The project that has it as its default, of which there is one.
    Column("default_of", String(64), unique=True),
    # The revision of the last change of its rules.
    Column("rules_revision", BigInteger, nullable=False, index=True),
    *stamp(),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

address_groups = Table(
    "address_groups",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    text("name"),
    text("description"),
    *stamp(),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)

security_group_rules = Table(
    "security_group_rules",
    metadata,
    Column("id", ID, primary_key=True),
    Column("group_id", ID, ForeignKey("security_groups.id"), nullable=False),
    Column("project_id", String(64), nullable=False, index=True),
    text("direction", 16),
    Column("version", Integer, nullable=False),
    Column("protocol", Integer),
    # The protocol as its owner wrote it: a name or a number.
    Column("protocol_word", String(16)),
    # Ports, or an ICMP type and code.
    Column("low", Integer),
    Column("high", Integer),
    Column("remote_prefix", String(64)),
    Column("remote_group_id", ID, ForeignKey("security_groups.id"), index=True),
    Column("remote_address_group_id", ID, ForeignKey("address_groups.id"), index=True),
    # Equal for rules that mean the same, however they are written.
    text("meaning"),
    text("description"),
    *stamp(),
    UniqueConstraint("group_id", "meaning"),
    Index(None, "created_at", "id"),
)

port_security_groups = Table(
    "port_security_groups",
    metadata,
    Column("port_id", ID, ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", ID, ForeignKey("security_groups.id"), primary_key=True, index=True),
)

# The prefixes of each set, and the port or IP group that contributes each; empty for an address
# group's own.
# A set has the id of its security group or address group.
set_prefixes = Table(
    "set_prefixes",
    metadata,
    Column("set_id", ID, primary_key=True),
    Column("first", KEY, primary_key=True),
    Column("length", Integer, primary_key=True, autoincrement=False),
    Column("port_id", ID, primary_key=True),
)

# Prefixes that were added to or removed from sets that hosts follow, by revision.
set_journal = Table(
    "set_journal",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("set_id", ID, nullable=False),
    Column("first", KEY, nullable=False),
    Column("length", Integer, nullable=False),
)

# The groups that the ports of a host have, the number of ports, and the revision since which there
# is one; and the sets that rules of these groups refer to.
host_groups = Table(
    "host_groups",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("group_id", ID, primary_key=True, index=True),
    Column("ports", Integer, nullable=False),
    Column("since", BigInteger, nullable=False),
    Index(None, "host", "since"),
)

host_sets = Table(
    "host_sets",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("set_id", ID, primary_key=True, index=True),
    Column("since", BigInteger, nullable=False),
    Index(None, "host", "since"),
)

# The other projects that may use an object: see and refer to it, not change it.
rbac_policies = Table(
    "rbac_policies",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    text("kind", 32),
    Column("object_id", ID, nullable=False),
    text("target", 64),
    UniqueConstraint("object_id", "target"),
    Index(None, "target", "kind"),
)

# The rules that new security groups begin with; `remote_group_id` is the word for its members.
default_rules = Table(
    "default_rules",
    metadata,
    Column("id", ID, primary_key=True),
    text("direction", 16),
    Column("version", Integer, nullable=False),
    Column("protocol", Integer),
    Column("protocol_word", String(16)),
    Column("low", Integer),
    Column("high", Integer),
    Column("remote_prefix", String(64)),
    Column("remote_group_id", ID),
    text("meaning"),
    text("description"),
    Column("in_default", Boolean, nullable=False),
    Column("in_others", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# The most that a project may have of a resource, where it is not the usual; -1 is any number.
quotas = Table(
    "quotas",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("resource", String(64), primary_key=True),
    Column("most", Integer, nullable=False),
)

subnet_pools = Table(
    "subnet_pools",
    metadata,
    Column("id", ID, primary_key=True),
    Column("project_id", String(64), nullable=False, index=True),
    text("name"),
    text("description"),
    json("prefixes"),
    Column("version", Integer, nullable=False),
    # The lengths that prefixes of its subnets may have, and the length where none is given.
    Column("shortest", Integer, nullable=False),
    Column("longest", Integer, nullable=False),
    Column("usual", Integer, nullable=False),
    Column("quota", Integer),
    Column("is_default", Boolean, nullable=False),
    *stamp(),
    Index(None, "name"),
    Index(None, "created_at", "id"),
)
