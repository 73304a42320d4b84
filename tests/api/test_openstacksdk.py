"""The OpenStack SDK, unchanged, with HTTP Basic and no identity service."""

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack.connection import Connection
from tests.api.cloud import Cloud

# The SDK deprecates parts of itself that it goes on calling; that is between it and itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning"),
    pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning"),
]


@pytest.fixture
def sdk(cloud: Cloud) -> Iterator[Connection]:
    cloud.has_host()
    yield from connect(cloud, "admin")


def connect(cloud: Cloud, name: str) -> Iterator[Connection]:
    connection = openstack.connect(
        auth_type="http_basic",
        auth={
            "endpoint": str(cloud.http.base_url).rstrip("/"),
            "username": name,
            "password": name,
        },
        load_yaml_config=False,
        load_envvars=False,
    )
    yield connection
    connection.close()


def test_a_network_lives_and_dies(sdk: Connection) -> None:
    network = sdk.network.create_network(
        name="front", is_shared=True, mtu=1450, is_admin_state_up=True
    )
    assert network.is_shared
    subnet = sdk.network.create_subnet(
        name="front-4",
        network_id=network.id,
        ip_version=4,
        cidr="192.0.2.0/24",
        allocation_pools=[{"start": "192.0.2.10", "end": "192.0.2.20"}],
        dns_nameservers=["192.0.2.3"],
    )
    assert subnet.gateway_ip == "192.0.2.1"
    assert sdk.network.get_network(network.id).subnet_ids == [subnet.id]
    assert sdk.network.find_network("front").id == network.id
    assert sdk.network.find_network("back") is None
    assert [each.name for each in sdk.network.networks(is_shared=True)] == ["front"]
    assert sdk.network.update_network(network, name="edge").name == "edge"
    assert sdk.network.update_subnet(subnet, is_dhcp_enabled=False).is_dhcp_enabled is False
    sdk.network.delete_subnet(subnet)
    sdk.network.delete_network(network)
    assert list(sdk.network.networks()) == []


def test_a_port_lives_and_dies(cloud: Cloud, sdk: Connection) -> None:
    network = sdk.network.create_network(name="front")
    subnet = sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    port = sdk.network.create_port(
        network_id=network.id,
        name="web",
        fixed_ips=[{"subnet_id": subnet.id, "ip_address": "10.0.0.50"}],
        mac_address="02:00:00:00:00:50",
        allowed_address_pairs=[{"ip_address": "10.0.0.100"}],
        binding_host_id="h1",
        binding_profile={"interface": "tap0"},
        device_id="vm-1",
        device_owner="compute:nova",
    )
    assert port.status == "DOWN"
    assert port.allowed_address_pairs == [
        {"ip_address": "10.0.0.100", "mac_address": "02:00:00:00:00:50"}
    ]
    cloud.enforces(cloud.admin.get(f"ports/{port.id}")["port"])
    assert sdk.network.get_port(port.id).status == "ACTIVE"
    assert [each.id for each in sdk.network.ports(device_id="vm-1")] == [port.id]
    assert [each.id for each in sdk.network.ports(fixed_ips="ip_address=10.0.0.50")] == [port.id]
    port = sdk.network.update_port(port, allowed_address_pairs=[], name="www")
    assert port.allowed_address_pairs == []
    port = sdk.network.update_port(port, is_port_security_enabled=False, security_group_ids=[])
    assert port.is_port_security_enabled is False
    sdk.network.delete_port(port)
    with pytest.raises(openstack.exceptions.NotFoundException):
        sdk.network.get_port(port.id)


def test_an_rbac_policy_lives_and_dies(sdk: Connection) -> None:
    network = sdk.network.create_network(name="front")
    policy = sdk.network.create_rbac_policy(
        object_type="network",
        object_id=network.id,
        target_project_id="p1",
        action="access_as_shared",
    )
    assert policy.target_project_id == "p1"
    assert [each.id for each in sdk.network.rbac_policies(object_id=network.id)] == [policy.id]
    changed = sdk.network.update_rbac_policy(policy, target_project_id="p2")
    assert sdk.network.get_rbac_policy(policy.id).target_project_id == "p2"
    assert sdk.network.find_rbac_policy(policy.id).object_id == network.id
    with pytest.raises(openstack.exceptions.ConflictException, match="already exists"):
        sdk.network.create_rbac_policy(
            object_type="network",
            object_id=network.id,
            target_project_id="p2",
            action="access_as_shared",
        )
    sdk.network.delete_rbac_policy(changed)
    assert list(sdk.network.rbac_policies()) == []
    sdk.network.delete_network(network)


def test_a_default_rule_lives_and_dies(cloud: Cloud, sdk: Connection) -> None:
    cloud.has_host(groups=True)
    assert len(list(sdk.network.default_security_group_rules())) == 4
    rule = sdk.network.create_default_security_group_rule(
        direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    assert sdk.network.get_default_security_group_rule(rule.id).protocol == "tcp"
    assert sdk.network.find_default_security_group_rule(rule.id).id == rule.id
    group = sdk.network.create_security_group(name="web")
    assert 22 in {each["port_range_min"] for each in group.security_group_rules}
    sdk.network.delete_default_security_group_rule(rule)
    assert len(list(sdk.network.default_security_group_rules())) == 4


def test_a_quota_is_set_and_reset(sdk: Connection) -> None:
    assert sdk.network.get_quota_default("p1").ports == 500
    assert sdk.network.update_quota("p1", ports=7, rbac_policies=-1).ports == 7
    assert sdk.network.get_quota("p1").rbac_policies == -1
    assert sdk.network.get_quota("p1", details=True).ports["used"] == 0
    assert [each.project_id for each in sdk.network.quotas()] == ["p1"]
    sdk.network.delete_quota("p1")
    assert sdk.network.get_quota("p1").ports == 500


def test_tags_and_revisions(sdk: Connection) -> None:
    network = sdk.network.create_network(name="front")
    sdk.network.set_tags(network, ["red", "blue"])
    assert sdk.network.get_network(network.id).tags == ["blue", "red"]
    assert [each.id for each in sdk.network.networks(tags="red")] == [network.id]
    assert list(sdk.network.networks(not_any_tags="red")) == []
    port = sdk.network.create_port(network_id=network.id, tags=["x"])
    assert port.tags == ["x"]
    seen = port.revision_number
    changed = sdk.network.update_port(port, name="y", if_revision=seen)
    assert changed.revision_number == seen + 1
    with pytest.raises(openstack.exceptions.PreconditionFailedException):
        sdk.network.update_port(sdk.network.get_port(port.id), name="z", if_revision=seen)
    with pytest.raises(openstack.exceptions.PreconditionFailedException):
        sdk.network.delete_port(sdk.network.get_port(port.id), if_revision=seen)
    sdk.network.delete_port(sdk.network.get_port(port.id), if_revision=seen + 1)


def test_a_subnet_pool_lives_and_dies(sdk: Connection) -> None:
    pool = sdk.network.create_subnet_pool(
        name="pool", prefixes=["10.0.0.0/16"], default_prefix_length=24, is_shared=True
    )
    assert (pool.ip_version, pool.is_shared, pool.minimum_prefix_length) == (4, True, 8)
    assert sdk.network.find_subnet_pool("pool").id == pool.id
    assert sdk.network.update_subnet_pool(pool, default_quota=512).default_quota == 512
    network = sdk.network.create_network(name="front")
    subnet = sdk.network.create_subnet(
        network_id=network.id, ip_version=4, subnet_pool_id=pool.id, prefix_length=26
    )
    assert (subnet.cidr, subnet.subnet_pool_id) == ("10.0.0.0/26", pool.id)
    (left,) = sdk.network.network_ip_availabilities()
    assert (left.network_name, left.total_ips, left.used_ips) == ("front", 61, 0)
    assert sdk.network.get_network_ip_availability(network.id).total_ips == 61
    sdk.network.delete_network(network)
    sdk.network.delete_subnet_pool(pool)
    assert list(sdk.network.subnet_pools()) == []


def test_groups_live_and_die(cloud: Cloud, sdk: Connection) -> None:
    cloud.has_host(groups=True)
    addresses = sdk.network.create_address_group(name="office", addresses=["192.0.2.0/24"])
    group = sdk.network.create_security_group(name="web", description="x", stateful=True)
    rule = sdk.network.create_security_group_rule(
        security_group_id=group.id,
        direction="ingress",
        ether_type="IPv4",
        protocol="tcp",
        port_range_min=80,
        port_range_max=80,
        remote_address_group_id=addresses.id,
    )
    assert sdk.network.get_security_group_rule(rule.id).remote_address_group_id == addresses.id
    found = sdk.network.security_group_rules(remote_address_group_id=addresses.id)
    assert [each.id for each in found] == [rule.id]
    sdk.network.add_addresses_to_address_group(addresses, ["2001:db8::/32"])
    sdk.network.remove_addresses_from_address_group(addresses, ["192.0.2.0/24"])
    assert sdk.network.get_address_group(addresses.id).addresses == ["2001:db8::/32"]
    assert sdk.network.update_address_group(addresses, name="hq").name == "hq"
    assert sdk.network.update_security_group(group, name="www").name == "www"
    assert sdk.network.find_security_group("www").id == group.id
    sdk.network.delete_security_group_rule(rule)
    sdk.network.delete_security_group(group)
    sdk.network.delete_address_group(addresses)
    assert list(sdk.network.address_groups()) == []


def test_agents_and_extensions(sdk: Connection) -> None:
    (agent,) = sdk.network.agents()
    assert (agent.host, agent.is_alive, agent.is_admin_state_up) == ("h1", True, True)
    assert sdk.network.get_agent(agent.id).binary == "vifguard"
    assert sdk.network.find_extension("standard-attr-tag") is not None
    assert sdk.network.find_extension("router") is None
    with pytest.raises(openstack.exceptions.NotFoundException):
        sdk.network.create_router(name="r")


def test_pages_and_bulk(sdk: Connection) -> None:
    network = sdk.network.create_network(name="front")
    sdk.network.create_subnet(network_id=network.id, ip_version=6, cidr="2001:db8::/64")
    ports: list[dict[str, Any]] = [{"network_id": network.id, "name": f"p{n}"} for n in range(7)]
    made = sdk.network.create_ports(ports)
    assert [port.name for port in made] == [each["name"] for each in ports]
    assert [port.name for port in sdk.network.ports(limit=3)] == [each["name"] for each in ports]


def test_refusals_are_exceptions_that_say_why(cloud: Cloud, sdk: Connection) -> None:
    network = sdk.network.create_network(name="front", is_shared=True)
    sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.0.0.0/24")
    for tenant in connect(cloud, "alice"):
        with pytest.raises(openstack.exceptions.ForbiddenException, match="mac_address"):
            tenant.network.create_port(network_id=network.id, mac_address="02:00:00:00:00:01")
        with pytest.raises(openstack.exceptions.BadRequestException, match="is not an IP address"):
            tenant.network.create_port(
                network_id=network.id, fixed_ips=[{"ip_address": "10.0.0.5\n"}]
            )
        mine = tenant.network.create_network(name="mine")
        assert mine.is_shared is False
    for stranger in connect(cloud, "bob"):
        assert stranger.network.find_network("mine") is None
        with pytest.raises(openstack.exceptions.NotFoundException):
            stranger.network.get_network(mine.id)


def test_a_wrong_password_is_refused(cloud: Cloud) -> None:
    connection = openstack.connect(
        auth_type="http_basic",
        auth={
            "endpoint": str(cloud.http.base_url).rstrip("/"),
            "username": "alice",
            "password": "wrong",
        },
        load_yaml_config=False,
        load_envvars=False,
    )
    with pytest.raises(openstack.exceptions.HttpException, match="401"):
        list(connection.network.networks())
    connection.close()
