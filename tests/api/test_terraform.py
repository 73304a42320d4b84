"""What Terraform's OpenStack provider asks, replayed by hand: the provider itself is not run.

Each test is one resource's create, wait, read, update, refresh and destroy, in the order and
with the bodies in which the provider's source (through gophercloud) sends them.
"""

from typing import Any

import pytest
from tests.api.cloud import Cloud, User, refusal


@pytest.fixture
def tenant(cloud: Cloud) -> User:
    cloud.has_host(groups=True)
    return cloud.alice


def create(user: User, path: str, one: str, **fields: Any) -> dict[str, Any]:
    """POST, then GET until it is there."""
    answer = user.call("POST", path, {one: fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()[one]
    assert user.get(f"{path}/{made['id']}")[one] == made
    return made


def update(user: User, path: str, one: str, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = user.call("PUT", f"{path}/{made['id']}", {one: fields})
    assert answer.status_code == 200, answer.text
    return user.get(f"{path}/{made['id']}")[one]  # type: ignore[no-any-return]


def tags(user: User, path: str, made: dict[str, Any], *words: str) -> None:
    """The attributestags extension: all at once."""
    answer = user.call("PUT", f"{path}/{made['id']}/tags", {"tags": list(words)})
    assert (answer.status_code, answer.json()) == (200, {"tags": sorted(words)})


def destroy(user: User, path: str, made: dict[str, Any]) -> None:
    """DELETE, then GET until it is gone."""
    assert user.call("DELETE", f"{path}/{made['id']}").status_code == 204
    assert refusal(user.call("GET", f"{path}/{made['id']}"))[0] == 404


def test_networking_network_v2(tenant: User) -> None:
    made = create(
        tenant,
        "networks",
        "network",
        name="net",
        admin_state_up=True,
        shared=False,
        description="x",
        port_security_enabled=True,
        mtu=1450,
        availability_zone_hints=["nova"],
        dns_domain="example.org.",
    )
    assert made["status"] in {"ACTIVE", "DOWN"}
    tags(tenant, "networks", made, "a", "b")
    after = update(
        tenant, "networks", "network", made, name="n2", description="", admin_state_up=False
    )
    assert (after["name"], after["tags"], after["admin_state_up"]) == ("n2", ["a", "b"], False)
    destroy(tenant, "networks", made)


def test_networking_subnet_v2(tenant: User) -> None:
    network = create(tenant, "networks", "network", name="net", admin_state_up=True)
    made = create(
        tenant,
        "subnets",
        "subnet",
        network_id=network["id"],
        cidr="192.168.199.0/24",
        name="sub",
        ip_version=4,
        enable_dhcp=True,
        dns_nameservers=["10.0.16.4", "213.186.33.99"],
        allocation_pools=[{"start": "192.168.199.100", "end": "192.168.199.200"}],
    )
    tags(tenant, "subnets", made, "a")
    after = update(
        tenant,
        "subnets",
        "subnet",
        made,
        name="s2",
        gateway_ip=None,
        enable_dhcp=False,
        dns_nameservers=[],
        host_routes=[{"destination": "10.9.0.0/16", "nexthop": "192.168.199.9"}],
    )
    assert (after["gateway_ip"], after["dns_nameservers"]) == (None, [])
    bare = {"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
    second = create(
        tenant,
        "subnets",
        "subnet",
        **bare,
        ipv6_address_mode="slaac",
        ipv6_ra_mode="slaac",
        gateway_ip=None,
    )
    for subnet in (second, made):
        destroy(tenant, "subnets", subnet)


def test_networking_port_v2(tenant: User) -> None:
    network = create(tenant, "networks", "network", name="net", admin_state_up=True)
    subnet = create(
        tenant, "subnets", "subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4
    )
    group = create(tenant, "security-groups", "security_group", name="sg", description="x")
    made = create(
        tenant,
        "ports",
        "port",
        network_id=network["id"],
        name="port",
        admin_state_up=True,
        security_groups=[group["id"]],
        port_security_enabled=True,
        dns_name="web",
        fixed_ips=[{"subnet_id": subnet["id"], "ip_address": "10.0.0.10"}],
        allowed_address_pairs=[{"ip_address": "10.0.0.50"}],
        extra_dhcp_opts=[{"opt_name": "optionA", "opt_value": "valueA"}],
    )
    tags(tenant, "ports", made, "a")
    assert [p["id"] for p in tenant.get("ports", fixed_ips="ip_address=10.0.0.10")["ports"]] == [
        made["id"]
    ]
    dropped = [{"opt_name": "optionA", "opt_value": None, "ip_version": 4}]
    after = update(
        tenant,
        "ports",
        "port",
        made,
        name="p2",
        security_groups=[],
        allowed_address_pairs=[],
        fixed_ips=[{"subnet_id": subnet["id"]}],
        extra_dhcp_opts=dropped,
    )
    assert (after["security_groups"], after["extra_dhcp_opts"]) == ([], [])
    assert after["fixed_ips"][0]["ip_address"] == "10.0.0.10"
    answer = tenant.call("DELETE", f"subnets/{subnet['id']}")
    assert refusal(answer)[:2] == (409, "SubnetInUse")  # The provider tries again.
    destroy(tenant, "ports", made)
    destroy(tenant, "subnets", subnet)
    destroy(tenant, "security-groups", group)


def test_networking_secgroup_v2_without_default_rules(tenant: User) -> None:
    path, rules = "security-groups", "security-group-rules"
    group = create(tenant, path, "security_group", name="sg", description="x", stateful=True)
    for rule in group["security_group_rules"]:
        destroy(tenant, rules, rule)
    tags(tenant, path, group, "a")
    made = [
        create(
            tenant,
            rules,
            "security_group_rule",
            security_group_id=group["id"],
            direction="ingress",
            **fields,
        )
        for fields in (
            {"ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
            | {"remote_ip_prefix": "0.0.0.0/0"},
            {"ethertype": "IPv6", "protocol": "udp", "remote_group_id": group["id"]},
            {"ethertype": "IPv4", "protocol": "icmp", "port_range_min": 0, "port_range_max": 0},
        )
    ]
    assert made[0]["remote_ip_prefix"] == "0.0.0.0/0"
    after = update(tenant, path, "security_group", group, name="sg2", description="")
    assert len(after["security_group_rules"]) == 3
    (found,) = tenant.get(path, name="sg2")["security_groups"]
    assert found["id"] == group["id"]
    for rule in made:
        destroy(tenant, rules, rule)
    destroy(tenant, path, group)


def test_networking_address_group_v2(tenant: User) -> None:
    path = "address-groups"
    made = create(tenant, path, "address_group", name="ag", addresses=["192.168.0.1/32"])
    where = f"{path}/{made['id']}"
    new = {"addresses": ["2001:db8::/32"]}
    assert tenant.call("PUT", f"{where}/add_addresses", new).status_code == 200
    old = {"addresses": ["192.168.0.1/32"]}
    assert tenant.call("PUT", f"{where}/remove_addresses", old).status_code == 200
    after = update(tenant, path, "address_group", made, name="ag2", description="x")
    assert after["addresses"] == ["2001:db8::/32"]
    destroy(tenant, path, made)


def test_networking_rbac_policy_v2(tenant: User) -> None:
    network = create(tenant, "networks", "network", name="net", admin_state_up=True)
    made = create(
        tenant,
        "rbac-policies",
        "rbac_policy",
        action="access_as_shared",
        object_type="network",
        object_id=network["id"],
        target_tenant="p2",
    )
    after = update(tenant, "rbac-policies", "rbac_policy", made, target_tenant="p3")
    assert after["target_tenant"] == "p3"
    destroy(tenant, "rbac-policies", made)


def test_networking_subnetpool_v2_and_a_subnet_of_it(tenant: User) -> None:
    pool = create(
        tenant,
        "subnetpools",
        "subnetpool",
        name="pool",
        prefixes=["10.11.0.0/16"],
        default_prefixlen=25,
        shared=False,
        is_default=False,
        description="x",
    )
    tags(tenant, "subnetpools", pool, "a")
    grown = ["10.11.0.0/16", "10.12.0.0/16"]
    after = update(tenant, "subnetpools", "subnetpool", pool, prefixes=grown, max_prefixlen=30)
    assert (after["prefixes"], after["max_prefixlen"]) == (grown, "30")
    network = create(tenant, "networks", "network", name="net", admin_state_up=True)
    asked = {"network_id": network["id"], "subnetpool_id": pool["id"], "ip_version": 4}
    subnet = create(tenant, "subnets", "subnet", **asked, prefixlen=26, enable_dhcp=True)
    assert subnet["cidr"] == "10.11.0.0/26"
    destroy(tenant, "subnets", subnet)
    destroy(tenant, "networks", network)
    destroy(tenant, "subnetpools", pool)


def test_networking_quota_v2(cloud: Cloud) -> None:
    asked = {"network": 10, "port": 20, "rbac_policy": 5, "security_group": 10}
    asked |= {"security_group_rule": 100, "subnet": 10, "subnetpool": 2}
    answer = cloud.admin.call("PUT", "quotas/p1", {"quota": asked})
    assert answer.status_code == 200
    shown = cloud.admin.get("quotas/p1")["quota"]
    assert {name: shown[name] for name in asked} == asked
    assert cloud.admin.call("DELETE", "quotas/p1").status_code == 204
