"""The attributes of ports."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.rules import (
    ADDRESSES,
    BINDER,
    DEVICE,
    DEVICE_OWNER,
    NETWORK_OWNER,
    OWNER,
    STORM,
)
from vifguard.attributes.schema import REQUIRED, Attribute, ResourceSchema
from vifguard.attributes.shared_attributes import (
    NO_ONE,
    address_requests,
    admin_state_up,
    guards,
    profile,
    shared_attributes,
    storm,
    strings,
    tags,
    with_stamp,
)
from vifguard.attributes.values import address_pairs
from vifguard.attributes.values.binding_profile import binding_profile
from vifguard.attributes.values.converters import (
    Converter,
    boolean,
    dns,
    exactly,
    host_name,
    integer,
    list_of,
    mac,
    many_of,
    mapped,
    nullable,
    one_of,
    record,
    set_of,
    text,
    uuid,
)
from vifguard.attributes.values.dhcp_options import dhcp_options, only_null
from vifguard.model.guard import Role

MAX_ADDRESSES = 64
"""Fixed addresses of a port."""

_MAX_GROUPS = 32

_fixed_ips = address_requests(MAX_ADDRESSES)
_groups = nullable(mapped(many_of(uuid, _MAX_GROUPS), frozenset))
_host = Converter(
    {"anyOf": [host_name.schema, {"const": ""}, {"type": "null"}]},
    lambda value: "" if value in (None, "") else host_name.read(value),
)
_dictionary = record({}, {})

PORTS: Final = ResourceSchema(
    "port",
    "ports",
    (
        *shared_attributes(),
        Attribute(
            "network_id",
            uuid,
            OWNER,
            default=REQUIRED,
            field="network_id",
            help="The network that it is on.",
        ),
        admin_state_up(),
        Attribute(
            "mac_address",
            nullable(mac),
            NETWORK_OWNER,
            NETWORK_OWNER,
            help="Its MAC. Default: a generated one.",
            source="mac",
        ),
        Attribute(
            "fixed_ips",
            nullable(_fixed_ips),
            ADDRESSES,
            ADDRESSES,
            help="Addresses of its own, or subnets to take them from.",
        ),
        Attribute(
            "allowed_address_pairs",
            address_pairs.PAIRS,
            NETWORK_OWNER,
            NETWORK_OWNER,
            (),
            "address_pairs",
            help="Further prefixes that it may use, and the MACs that it may use them with.",
        ),
        Attribute(
            "port_security_enabled",
            nullable(boolean),
            NETWORK_OWNER,
            NETWORK_OWNER,
            help="Whether guards are in force.",
            source="port_security_enabled",
        ),
        Attribute(
            "guard_profile",
            profile,
            NETWORK_OWNER,
            NETWORK_OWNER,
            None,
            "profile",
            help="Its profile: a named set of guards. Default: that of its network.",
        ),
        Attribute(
            "guards",
            guards,
            NETWORK_OWNER,
            NETWORK_OWNER,
            None,
            "guards",
            help="Instead of a profile, its guards.",
        ),
        Attribute(
            "roles",
            set_of(one_of(Role), 8),
            NETWORK_OWNER,
            NETWORK_OWNER,
            frozenset(),
            "roles",
            help="Permissions beside those of any port.",
        ),
        Attribute(
            "ethertypes",
            set_of(integer(0x0600, 0xFFFF), 16),
            NETWORK_OWNER,
            NETWORK_OWNER,
            frozenset(),
            "ethertypes",
            help="Further Ethernet types, such as 0x88b5.",
        ),
        Attribute(
            "storm",
            nullable(storm),
            STORM,
            STORM,
            None,
            "storm",
            help="Broadcasts that its guest may send: frames a second, and how many at once. "
            "Default: as its network has it.",
        ),
        Attribute(
            "device_id",
            text(),
            DEVICE,
            DEVICE,
            "",
            "device_id",
            help="The id of the machine that it belongs to.",
        ),
        Attribute(
            "device_owner",
            text(),
            DEVICE_OWNER,
            DEVICE_OWNER,
            "",
            "device_owner",
            help="The kind of that machine, such as compute:nova.",
        ),
        Attribute("dns_name", dns, OWNER, OWNER, "", "dns_name", help="Its DNS name."),
        Attribute(
            "dns_domain", dns, OWNER, OWNER, "", "dns_domain", help="The DNS domain of its name."
        ),
        Attribute(
            "extra_dhcp_opts",
            dhcp_options,
            OWNER,
            OWNER,
            (),
            help="Options for a DHCP server to give its guest.",
            source="dhcp_options",
        ),
        Attribute(
            "qos_policy_id",
            only_null,
            OWNER,
            OWNER,
            visible_to=NO_ONE,
            help="There are no QoS policies.",
        ),
        Attribute(
            "security_groups",
            _groups,
            OWNER,
            OWNER,
            help="Security groups of the port. Without one nothing passes.",
        ),
        Attribute(
            "security_groups_enabled",
            boolean,
            OWNER,
            OWNER,
            help="Whether security groups filter the port. The other guards, such as those "
            "against spoofing, stay in force either way.",
        ),
        Attribute(
            "binding:host_id", _host, BINDER, BINDER, "", "host", BINDER, help="The host it is on."
        ),
        Attribute(
            "binding:profile",
            binding_profile,
            BINDER,
            BINDER,
            visible_to=BINDER,
            help="The interface on the host. none: it is found by its usual name or by its MAC.",
            source="binding_profile",
        ),
        Attribute(
            "binding:vnic_type",
            exactly("normal", "macvtap"),
            NETWORK_OWNER,
            NETWORK_OWNER,
            "normal",
            "vnic_type",
            help="How its guest is connected.",
        ),
        Attribute("binding:vif_type", text(), visible_to=BINDER),
        Attribute("binding:vif_details", _dictionary, visible_to=BINDER),
        Attribute("learned_addresses", list_of(_dictionary, MAX_ADDRESSES)),
        Attribute("status", exactly("ACTIVE", "DOWN")),
        Attribute("status_reason", text()),
        Attribute("effective_guards", strings),
        Attribute("policy_revision", integer(0, 2**63)),
        Attribute("enforced_revision", integer(0, 2**63)),
        *with_stamp(Attribute("tags", tags, OWNER, None, (), help="Words to find it again by.")),
    ),
)
