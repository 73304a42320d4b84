"""Each attribute of a noun is shown, in the order of its declaration."""

from tests.api.cloud import Cloud

from vifguard.attributes.nouns import NOUNS
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.shared_attributes import NO_ONE


def shown(noun: ResourceSchema) -> set[str]:
    """The attributes that the operator sees."""
    told = (each for each in noun.attributes if not each.is_filter)
    return {each.name for each in told if each.visible_to is not NO_ONE}


def test_every_attribute_is_shown_to_the_operator_and_no_other(cloud: Cloud) -> None:
    cloud.has_host(groups=True)
    admin = cloud.admin
    network = admin.network("10.0.0.0/24", shared=True)
    group = admin.make("security_group", name="g")
    made = {
        "network": network,
        "subnet": admin.get("subnets")["subnets"][0],
        "port": admin.make("port", network_id=network["id"]),
        "security_group": group,
        "security_group_rule": group["security_group_rules"][0],
        "default_security_group_rule": admin.get("default-security-group-rules")[
            "default_security_group_rules"
        ][0],
        "address_group": admin.make("address_group", name="a"),
        "rbac_policy": admin.make(
            "rbac_policy",
            object_type="network",
            object_id=network["id"],
            target_tenant="p1",
            action="access_as_shared",
        ),
        "subnetpool": admin.make("subnetpool", name="q", prefixes=["10.0.0.0/8"]),
        "ip_group": admin.make("ip_group", network_id=network["id"], vrid4=1),
    }
    for noun in NOUNS:
        assert made[noun.one].keys() == shown(noun), noun.one
