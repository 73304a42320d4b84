"""The options of a port, from its attributes, and how it spells them."""

from __future__ import annotations

from typing import Any, Final

from vifguard.attributes.ports import PORTS
from vifguard.cli.lookup import ids_in
from vifguard.cli.options import values
from vifguard.cli.options.attribute_options import Item, NounOptions, Spelling, of_text, reference
from vifguard.cli.options.guard_options import GUARD_OPTIONS, guard_choice
from vifguard.cli.session import Session
from vifguard.cli.show.addresses import fixed_ips
from vifguard.client.resource import HOST, NETWORK, PORT, SECURITY_GROUP


def _groups(session: Session, beside: Item, names: list[str]) -> list[str]:
    return ids_in(session, SECURITY_GROUP, values.many(names), beside.get("project_id"))


def _profile(_: Session, beside: Item, interface: str) -> dict[str, Any]:
    """The profile with this interface, or with none; a hypervisor's own words in it stay."""
    before = beside.get("binding:profile", {})
    others = {key: value for key, value in before.items() if key != "interface"}
    return others if interface == values.NONE else others | {"interface": interface}


def pair_of(text: str) -> dict[str, str]:
    """An allowed address pair: PREFIX[,MAC]."""
    prefix, comma, mac = text.partition(",")
    return {"ip_address": prefix} | ({"mac_address": mac} if comma else {})


PORT_OPTIONS: Final = NounOptions(
    PORT,
    PORTS,
    spelled={
        **GUARD_OPTIONS,
        "network_id": reference("--network", NETWORK),
        "mac_address": Spelling("--mac", null=values.DEFAULT),
        "fixed_ips": Spelling("--fixed-ip", "ADDRESS|SUBNET", read=fixed_ips),
        "allowed_address_pairs": Spelling(
            "--allowed-address",
            "PREFIX[,MAC]",
            read=of_text(lambda texts: [*map(pair_of, values.many(texts))]),
        ),
        "ethertypes": Spelling("--ethertype", read=of_text(values.ethertypes)),
        "security_groups": Spelling("--security-group", read=_groups, refers_to=SECURITY_GROUP),
        "security_groups_enabled": Spelling("--grouped/--ungrouped"),
        "binding:host_id": Spelling("--host", refers_to=HOST),
        "binding:profile": Spelling("--interface", read=_profile),
        "binding:vnic_type": Spelling("--vnic-type"),
    },
    unoffered={
        "extra_dhcp_opts": "for the API: the command has no spelling for them",
        "tags": "`port tag` and `port untag`",
    },
    complete=guard_choice,
)
