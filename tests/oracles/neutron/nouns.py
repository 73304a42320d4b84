"""What there is to ask about: each resource, and the values that are tried for its attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Body = dict[str, Any]

NOBODY: Final = "11111111-2222-3333-4444-555555555555"
TYPES: Final = (None, "", "x", 1, True, [], {}, [1])
TEXTS: Final = (
    *("x" * 255, "x" * 256, " a ", "a\nb", "a\u3000b", "\u0645\u200c\u0646", "a\u202e", "\x01"),
)
BOOLEANS: Final = ("true", "False", "1", "yes", "off", "t", 0, 2)
NUMBERS: Final = ("22", "022", "0x10", 0, -1, 65536)
IDS: Final = (NOBODY, NOBODY.upper(), "not-an-id", "default")
MACS: Final = (
    *("fa:16:3e:00:00:0a", "FA:16:3E:00:00:0A", "fa-16-3e-00-00-0a", "fa163e00000a"),
    *("ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "01:00:5e:00:00:01", "fa:16:3e:00:00"),
)
ADDRESSES: Final = (
    *("192.0.2.77", "192.0.2.0", "192.0.2.255", "192.0.2.1", "198.51.100.1", "010.0.0.1"),
    *("2001:DB8::77", "2001:db8::", "2001:db8:5::1", "fe80::1", "::ffff:192.0.2.5", "0.0.0.0"),
    *("127.0.0.1", "224.0.0.1", "169.254.0.5", "192.0.2.77/24"),
)
PREFIXES: Final = (
    *("10.1.2.3/24", "10.1.2.0/24", "10.1.2.3", "10.1.2.3/32", "2001:DB8::1/64", "2001:db8::/64"),
    *("0.0.0.0/0", "::/0", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "10.0.0.0/", "10.1/16"),
    *("169.254.0.0/16", "fe80::/64", "127.0.0.0/8", "224.0.0.0/8", "240.0.0.0/8", "0.0.0.0/8"),
)


@dataclass(frozen=True)
class Noun:
    """A resource: its words, what a POST of one needs, and the values for its attributes.

    `{network}` in a value stands for the id that a server gave to that object of the world.
    """

    one: str
    many: str
    base: Body
    values: dict[str, tuple[Any, ...]]
    found: dict[str, str]
    """What Neutron shows, and of each attribute a value by which lists find something; or none."""
    fixed: bool = False
    """Whether nothing of it can be changed."""
    tagged: bool = True

    @property
    def path(self) -> str:
        """Its collection."""
        return self.many.replace("_", "-")


_COMMON = {
    "name": (*TYPES, *TEXTS),
    "description": (*TYPES, *TEXTS),
    "project_id": (None, "", "p7", 1, [], "a b", "x" * 300),
    "nonsense": ("x",),
    "id": (NOBODY,),
    "revision_number": (5,),
    "created_at": ("2020-01-01T00:00:00Z",),
    "tags": (["a"], "a", None, []),
}
_LIKEWISE = _COMMON | {
    "name": (None, "", 1, "a\nb", "x" * 256),
    "description": (None, 1, "a\nb"),
    "project_id": (None, 1),
    "tags": (["a"],),
}
"""Of nouns whose names and tags are the same code: whether they have them at all."""
_STAMPED = {
    **dict.fromkeys(("id", "tenant_id", "project_id", "created_at", "updated_at"), ""),
    "revision_number": "77",
    "tags": "red",
    "description": "first",
}
_OWN_NETWORK = {"network_id": "{network}"}
_RANGE = {"network_id": "{empty}", "ip_version": 4, "cidr": "10.9.0.0/24"}

_POOLS = (
    [{"start": "10.9.0.10", "end": "10.9.0.20"}],
    [{"start": "10.9.0.20", "end": "10.9.0.10"}],
    [{"start": "10.9.0.1", "end": "10.9.0.20"}],
    [{"start": "10.9.0.0", "end": "10.9.0.255"}],
    [{"start": "10.8.0.10", "end": "10.9.0.20"}],
    [{"start": "10.9.0.10", "end": "10.9.0.20"}, {"start": "10.9.0.15", "end": "10.9.0.30"}],
    [{"start": "10.9.0.10"}],
    [{"start": "10.9.0.10", "end": "10.9.0.20", "x": 1}],
    [{"start": "2001:db8::1", "end": "2001:db8::2"}],
)
_ROUTES = (
    [{"destination": "10.20.0.0/16", "nexthop": "10.9.0.9"}],
    [{"destination": "10.20.0.1/16", "nexthop": "10.9.0.9"}],
    [{"destination": "0.0.0.0/0", "nexthop": "10.9.0.9"}],
    [{"destination": "10.20.0.0/16", "nexthop": "2001:db8::9"}],
    [{"destination": "10.20.0.0/16"}],
    [{"nexthop": "10.9.0.9"}],
    [{"destination": "x", "nexthop": "y"}],
    [{"destination": "10.20.0.0/16", "nexthop": "10.9.0.9"}] * 2,
)

NOUNS: Final = (
    Noun(
        "network",
        "networks",
        {},
        {
            **_COMMON,
            "admin_state_up": (*TYPES, *BOOLEANS),
            "shared": (*TYPES, *BOOLEANS),
            "mtu": (*TYPES, *NUMBERS, 67, 68, 1279, 9000),
            "port_security_enabled": (*TYPES, *BOOLEANS),
            "router:external": (*TYPES, *BOOLEANS),
            "availability_zone_hints": (*TYPES, ["nova"]),
            "provider:network_type": (*TYPES, "local", "flat", "vxlan", "vlan", "LOCAL"),
            "provider:physical_network": (*TYPES, "public", "a b"),
            "provider:segmentation_id": (*TYPES, "7", 5000),
            "qos_policy_id": (None, NOBODY, ""),
            "is_default": (None, True),
            "status": ("ACTIVE",),
            "subnets": ([],),
        },
        _STAMPED
        | {
            **dict.fromkeys(("status", "subnets", "ipv4_address_scope", "availability_zones"), ""),
            "name": "front",
            "admin_state_up": "False",
            "shared": "True",
            "mtu": "1400",
            "router:external": "True",
            "provider:network_type": "flat",
            "provider:physical_network": "public",
            "provider:segmentation_id": "",
            "port_security_enabled": "False",
            "availability_zone_hints": "",
        },
    ),
    Noun(
        "subnet",
        "subnets",
        _RANGE,
        {
            **_LIKEWISE,
            "network_id": (*TYPES, *IDS),
            "cidr": (*TYPES, *PREFIXES, "10.9.0.0/31", "10.9.0.0/32", "10.9.0.0/30"),
            "ip_version": (*TYPES, 4, 6, "4", 5),
            "gateway_ip": (*TYPES, *ADDRESSES, "10.9.0.1", "10.9.0.9", "10.9.0.0", "10.9.0.255"),
            "allocation_pools": (*TYPES, *_POOLS),
            "enable_dhcp": (*TYPES, *BOOLEANS),
            "dns_nameservers": (
                *TYPES,
                ["10.0.0.1"],
                ["10.0.0.1", "10.0.0.1"],
                ["2001:db8::1"],
                ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"],
            ),
            "host_routes": (*TYPES, *_ROUTES),
            "ipv6_ra_mode": (None, "slaac", "", "x", 1),
            "ipv6_address_mode": (None, "slaac", "dhcpv6-stateful", "", "x", 1),
            "subnetpool_id": (*TYPES, *IDS, "{pool}"),
            "use_default_subnetpool": (True, False, "x", None),
            "prefixlen": (*TYPES, 24, "24", 129),
            "service_types": (
                *TYPES,
                ["compute:nova"],
                ["compute:"],
                ["network:dhcp"],
                ["baremetal:x"],
                ["foo"],
                ["compute:a", "compute:a"],
            ),
            "segment_id": (None, NOBODY, ""),
            "shared": (True,),
        },
        _STAMPED
        | {
            "name": "four",
            "network_id": "{network}",
            "ip_version": "6",
            "cidr": "192.0.2.0/24",
            "gateway_ip": "192.0.2.1",
            "enable_dhcp": "False",
            "ipv6_ra_mode": "slaac",
            "ipv6_address_mode": "slaac",
            "subnetpool_id": "",
            "segment_id": "",
            "service_types": "compute:nova",
            "shared": "False",
            **dict.fromkeys(("allocation_pools", "dns_nameservers", "host_routes"), ""),
            "router:external": "False",
        },
    ),
    Noun(
        "port",
        "ports",
        _OWN_NETWORK,
        {
            **_LIKEWISE,
            "network_id": (*TYPES, *IDS),
            "admin_state_up": (*TYPES, *BOOLEANS),
            "mac_address": (*TYPES, *MACS),
            "fixed_ips": (
                *TYPES,
                *([{"ip_address": each}] for each in ADDRESSES),
                *([{"subnet_id": each}] for each in (*IDS, "{subnet}", "", None, 1)),
                [{"subnet_id": "{subnet}", "ip_address": "192.0.2.78"}],
                [{"subnet_id": "{subnet}", "ip_address": "2001:db8::78"}],
                [{"subnet_id": "{subnet}"}, {"subnet_id": "{subnet}"}],
                [{"ip_address": "192.0.2.79"}] * 2,
                [{"ip_address": "192.0.2.80", "x": 1}],
            ),
            "allowed_address_pairs": (
                *TYPES,
                *([{"ip_address": each}] for each in (*ADDRESSES, *PREFIXES)),
                *([{"ip_address": "10.5.5.5", "mac_address": each}] for each in (*MACS, None, "")),
                [{"ip_address": "10.5.5.5"}] * 2,
                [{"ip_address": "10.5.5.5"}, {"ip_address": "10.5.5.5/32"}],
                [{"mac_address": "fa:16:3e:00:00:0b"}],
                [{"ip_address": "10.5.5.5", "x": 1}],
            ),
            "port_security_enabled": (*TYPES, *BOOLEANS),
            "security_groups": (
                *TYPES,
                *([each] for each in (*IDS, "{group}")),
                ["{group}", "{group}"],
                "{group}",
            ),
            "device_id": (*TYPES, *TEXTS),
            "device_owner": (*TYPES, *TEXTS, "compute:nova", "network:dhcp", "trunk:subport"),
            "extra_dhcp_opts": (
                *TYPES,
                [{"opt_name": "mtu", "opt_value": "1400"}],
                [{"opt_name": "mtu", "opt_value": None}],
                [{"opt_name": "mtu", "opt_value": ""}],
                [{"opt_name": "", "opt_value": "1"}],
                [{"opt_name": "router", "opt_value": ""}],
                [{"opt_name": "mtu", "opt_value": "1", "ip_version": 6}],
                [{"opt_name": "mtu", "opt_value": "1", "ip_version": "5"}],
                [{"opt_name": "mtu"}],
                [{"opt_name": "mtu", "opt_value": 1}],
            ),
            "binding:host_id": (*TYPES, "h1", "a b"),
            "binding:profile": (*TYPES, {"a": 1}, {"a": "b"}),
            "binding:vnic_type": (*TYPES, "normal", "direct", "macvtap", "Normal"),
            "binding:vif_type": ("ovs",),
            "qos_policy_id": (None, NOBODY, ""),
            "dns_name": ("a",),
            "propagate_uplink_status": (True,),
            "status": ("ACTIVE",),
        },
        _STAMPED
        | {
            "name": "one",
            "network_id": "{network}",
            "admin_state_up": "False",
            "mac_address": "fa:16:3e:00:01:01",
            "fixed_ips": "ip_address=192.0.2.11",
            "device_id": "vm",
            "device_owner": "compute:nova",
            "status": "DOWN",
            "binding:host_id": "h2",
            "binding:vnic_type": "macvtap",
            "security_groups": "{group}",
            "port_security_enabled": "False",
            **dict.fromkeys(("allowed_address_pairs", "extra_dhcp_opts", "binding:profile"), ""),
            **dict.fromkeys(("binding:vif_type", "binding:vif_details"), ""),
        },
    ),
    Noun(
        "security_group",
        "security_groups",
        {"name": "g"},
        {
            **_LIKEWISE,
            "name": (*TYPES, *TEXTS, "default", "Default"),
            "stateful": (*TYPES, *BOOLEANS),
            "security_group_rules": ([],),
            "shared": (True,),
        },
        _STAMPED
        | {"name": "web", "stateful": "False", "shared": "False", "security_group_rules": ""},
    ),
    Noun(
        "security_group_rule",
        "security_group_rules",
        {"security_group_id": "{group}", "direction": "ingress", "protocol": "tcp"},
        {
            **_LIKEWISE,
            "security_group_id": (*TYPES, *IDS),
            "direction": (*TYPES, "egress", "ingress", "INGRESS", "both"),
            "ethertype": (*TYPES, "IPv4", "ipv4", "IPv6", "IPV6", "IPv5", 4),
            "protocol": (
                *TYPES,
                *("tcp", "TCP", "udp", "6", 6, "06", 0, "0", 255, 256, "256", "any", "icmp"),
                *("ipv6-icmp", "icmpv6", "icmp6", "ah", "esp", "gre", "sctp", "vrrp", "ospf"),
            ),
            "port_range_min": (*TYPES, *NUMBERS, 65535),
            "port_range_max": (*TYPES, *NUMBERS, 65535),
            "remote_ip_prefix": (*TYPES, *PREFIXES),
            "remote_group_id": (*TYPES, *IDS, "{group}"),
            "remote_address_group_id": (*TYPES, *IDS, "{addresses}"),
            "normalized_cidr": ("10.0.0.0/8",),
        },
        _STAMPED
        | {
            "security_group_id": "{group}",
            "direction": "ingress",
            "ethertype": "IPv6",
            "protocol": "tcp",
            "port_range_min": "22",
            "port_range_max": "22",
            "remote_ip_prefix": "10.1.2.3/24",
            "remote_group_id": "{group}",
            "remote_address_group_id": "{addresses}",
            "normalized_cidr": "10.1.2.0/24",
            "belongs_to_default_sg": "True",
        },
        fixed=True,
    ),
    Noun(
        "address_group",
        "address_groups",
        {},
        {
            **_LIKEWISE,
            "addresses": (*TYPES, *([each] for each in PREFIXES), ["10.0.0.0/8", "10.0.0.0/8"]),
            "shared": (True,),
        },
        _STAMPED | {"name": "far", "addresses": "10.0.0.0/8", "shared": "False"},
    ),
    Noun(
        "subnetpool",
        "subnetpools",
        {"name": "p", "prefixes": ["10.64.0.0/16"]},
        {
            **_LIKEWISE,
            "prefixes": (
                *TYPES,
                *([each] for each in PREFIXES),
                ["10.64.0.0/16", "10.65.0.0/16"],
                ["10.64.0.0/16", "2001:db8::/32"],
            ),
            "min_prefixlen": (*TYPES, 20, "20", 33, 8),
            "max_prefixlen": (*TYPES, 20, "20", 33, 8),
            "default_prefixlen": (*TYPES, 20, "20", 33, 8),
            "default_quota": (*TYPES, 20, "20"),
            "is_default": (*TYPES, *BOOLEANS),
            "shared": (*TYPES, *BOOLEANS),
            "address_scope_id": (None, NOBODY, ""),
            "ip_version": (4, 6),
        },
        _STAMPED
        | {
            "name": "pool",
            "prefixes": "10.32.0.0/16",
            "min_prefixlen": "8",
            "max_prefixlen": "32",
            "default_prefixlen": "24",
            "default_quota": "",
            "ip_version": "6",
            "is_default": "True",
            "shared": "True",
            "address_scope_id": "",
        },
    ),
    Noun(
        "rbac_policy",
        "rbac_policies",
        {
            "object_type": "network",
            "object_id": "{lonely}",
            "action": "access_as_shared",
            "target_tenant": "5" * 32,
        },
        {
            "object_type": (*TYPES, "network", "NETWORK", "qos_policy", "security_group"),
            "object_id": (*TYPES, *IDS),
            "action": (*TYPES, "access_as_shared", "access_as_external", "x y"),
            "target_tenant": (*TYPES, "6" * 32, NOBODY, "x" * 300),
            "target_project": ("7" * 32,),
            "project_id": (None, "", "p7", 1),
            "nonsense": ("x",),
        },
        {
            **dict.fromkeys(("id", "tenant_id", "project_id"), ""),
            "object_type": "network",
            "object_id": "{network}",
            "action": "access_as_shared",
            "target_tenant": "8" * 32,
        },
        tagged=False,
    ),
    Noun(
        "default_security_group_rule",
        "default_security_group_rules",
        {
            "direction": "ingress",
            "protocol": "tcp",
            "used_in_default_sg": False,
            "used_in_non_default_sg": True,
        },
        {
            "description": (None, "", 1, "a", "a\nb"),
            "direction": (*TYPES, "egress", "ingress", "INGRESS"),
            "ethertype": (*TYPES, "IPv4", "ipv4", "IPv6", "IPv5"),
            "protocol": (*TYPES, "TCP", "udp", 6, "any", "icmp", "ipv6-icmp", "gre", "256"),
            "port_range_min": (*TYPES, 22, "22"),
            "port_range_max": (*TYPES, 22, -1),
            "remote_ip_prefix": (*TYPES, "10.1.2.3/24", "10.1.2.3", "2001:db8::/64", "0.0.0.0/0"),
            "remote_group_id": (*TYPES, NOBODY, "PARENT"),
            "remote_address_group_id": (*TYPES, NOBODY),
            "used_in_default_sg": (*TYPES, *BOOLEANS),
            "used_in_non_default_sg": (*TYPES, *BOOLEANS),
            "project_id": (None, "p7"),
            "nonsense": ("x",),
        },
        {
            "id": "",
            "description": "",
            "direction": "egress",
            "ethertype": "IPv4",
            "protocol": "",
            "port_range_min": "",
            "port_range_max": "",
            "remote_ip_prefix": "",
            "remote_group_id": "PARENT",
            "remote_address_group_id": "",
            "used_in_default_sg": "False",
            "used_in_non_default_sg": "False",
        },
        fixed=True,
        tagged=False,
    ),
)
