"""Each attribute is kept: by a field of the model, and by a column or a table of its own."""

from dataclasses import dataclass, fields, replace
from ipaddress import ip_address, ip_network

import pytest
from sqlalchemy import Table

from vifguard.attributes.address_groups import ADDRESS_GROUPS
from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.attributes.networks import NETWORKS
from vifguard.attributes.ports import PORTS
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.attributes.subnets import SUBNETS
from vifguard.model.address import Mac
from vifguard.model.guard import Guard, LinkLocal, Profile, Role
from vifguard.model.ip_group import IpGroup
from vifguard.model.learned import LearnedLimits
from vifguard.model.network import HostRoute, Network, Pool, Subnet
from vifguard.model.policy import Storm
from vifguard.model.port import DhcpOption, Port
from vifguard.model.security_group import AddressGroup, SecurityGroup
from vifguard.model.subnet_pool import SubnetPool
from vifguard.store.schema import mapping, tables
from vifguard.store.schema.row_mapping import RowMapping, codec_of

_START, _END = ip_address("10.0.0.5"), ip_address("10.0.0.9")
NETWORK = Network(
    *("n", "p", "name"), shared=True, mtu=9000, profile=Profile.MAC,
    guards=frozenset({Guard.ARP, Guard.MAC}), link_local=LinkLocal.ANY,
    learned_limits=LearnedLimits(3, 4), storm=Storm(5, 6), zone_hints=("b", "a"),
)  # fmt: skip
SUBNET = Subnet(
    *("s", "n", "p", ip_network("10.0.0.0/24")), gateway=_START, pools=(Pool(_START, _END),),
    nameservers=(_END, ip_address("fd00::1")), service_types=("compute:x",),
    host_routes=(HostRoute(ip_network("fd00::/64"), ip_address("fd00::1")),),
)  # fmt: skip
PORT = Port(
    *("i", "n", "p", Mac.parse("02:00:00:00:00:01")), guards=frozenset(), storm=Storm(0, 0),
    roles=frozenset(Role), ethertypes=frozenset({0x88B5, 0x0801}), profile=Profile.OFF,
    binding_profile={"a": 1}, dhcp_options=(DhcpOption("x", None, 6),),
)  # fmt: skip
POOL = SubnetPool("q", "p", (ip_network("10.0.0.0/8"),), 8, 32, 26)
NOUNS = (
    (NETWORKS, mapping.NETWORK, tables.networks, NETWORK),
    (SUBNETS, mapping.SUBNET, tables.subnets, SUBNET),
    (PORTS, mapping.PORT, tables.ports, PORT),
    (SUBNET_POOLS, mapping.SUBNET_POOL, tables.subnet_pools, POOL),
    (IP_GROUPS, mapping.IP_GROUP, tables.ip_groups, IpGroup("g", "p", "n", vrid4=0)),
    (SECURITY_GROUPS, mapping.SECURITY_GROUP, tables.security_groups, SecurityGroup("g", "p")),
    (ADDRESS_GROUPS, mapping.ADDRESS_GROUP, tables.address_groups, AddressGroup("g", "p")),
)
"""Attributes, mapping, table, and a noun with values of each kind."""


@dataclass
class Row:
    """A row of these columns."""

    columns: dict[str, object]

    def __getattr__(self, name: str) -> object:
        return self.columns[name]


each_noun = pytest.mark.parametrize(
    ("schema", "rows", "table", "noun"), NOUNS, ids=[schema.one for schema, *_ in NOUNS]
)


@each_noun
def test_a_noun_that_is_read_back_is_the_same(
    schema: ResourceSchema, rows: RowMapping[object], table: Table, noun: object
) -> None:
    for one in (noun, replace(noun, name="other")):  # type: ignore[type-var]
        values = rows.values(one)
        assert values.keys() <= set(table.columns.keys()), schema.one
        assert rows.read(Row(values)) == one


@each_noun
def test_every_attribute_is_kept_in_a_column_or_elsewhere(
    schema: ResourceSchema, rows: RowMapping[object], table: Table, noun: object
) -> None:
    # Other tables have them, or the row in another form; the mapping's own functions say how.
    elsewhere = {"addresses", "members", "security_groups", "address_pairs", "version"}
    known = {each.name for each in fields(noun)}  # type: ignore[arg-type]
    for attribute in schema.attributes:
        for field in filter(None, (attribute.field, attribute.source)):
            assert field in known | {"version"}, attribute.name
            has = {*rows.fields, *rows.spread, *elsewhere, *table.columns.keys()}
            assert field in has, attribute.name


def test_a_type_without_a_column_is_named() -> None:
    with pytest.raises(TypeError, match="complex"):
        codec_of(complex)
