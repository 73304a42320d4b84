"""A network is not shared while it holds what its owner could not choose on a shared one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, User, refusal

from vifguard.docs_pages import policy_page

OF_NETWORK: dict[str, tuple[Any, Any]] = {
    "guard_profile": ("off", None),
    "guards": (["mac"], None),
    "port_security_enabled": (False, True),
    "link_local": ("any", "learned"),
    "learned_limits": ({"link_local": 9, "others": 16}, {"link_local": 1, "others": 16}),
    "storm": ({"rate": 10, "burst": 10}, {"rate": 1000, "burst": 1000}),
}
OF_PORT: dict[str, tuple[Any, Any]] = {
    "guard_profile": ("off", None),
    "guards": (["mac"], None),
    "port_security_enabled": (False, True),
    "roles": (["dhcp-server"], []),
    "ethertypes": ([0x88B5], []),
    "storm": ({"rate": 10, "burst": 10}, None),
    "binding:vnic_type": ("macvtap", "normal"),
    "mac_address": ("02:00:00:00:00:77", "fa:16:3e:00:00:01"),
    "allowed_address_pairs": ([{"ip_address": "10.0.0.0/25"}], []),
    "fixed_ips": ([{"ip_address": "10.0.0.1"}], [{"ip_address": "10.0.0.9"}]),
}


def share(user: User, network: dict[str, Any], target: str = "p2") -> httpx.Response:
    policy = {
        "object_type": "network",
        "object_id": network["id"],
        "target_tenant": target,
        "action": "access_as_shared",
    }
    return user.call("POST", "rbac-policies", {"rbac_policy": policy})


def require_refused(cloud: Cloud, network: dict[str, Any], *words: str) -> None:
    """Whoever shares it, and in whichever way."""
    before = cloud.rows()
    mine = {"shared": True}
    for answer in (
        share(cloud.alice, network),
        share(cloud.admin, network, "*"),
        cloud.admin.call("PUT", f"networks/{network['id']}", {"network": mine}),
    ):
        status, kind, message = refusal(answer)
        assert (status, kind) == (409, "InvalidSharedSetting")
        assert all(word in message for word in words), message
    assert cloud.rows() == before


@pytest.fixture
def network(cloud: Cloud) -> dict[str, Any]:
    cloud.has_host(groups=True)
    return cloud.alice.network("10.0.0.0/24")


@pytest.mark.parametrize("name", OF_NETWORK)
def test_what_its_owner_chose_for_a_network_stands_in_the_way(
    cloud: Cloud, network: dict[str, Any], name: str
) -> None:
    lowered, usual = OF_NETWORK[name]
    cloud.alice.change("network", network["id"], **{name: lowered})
    require_refused(cloud, network, name)
    cloud.alice.change("network", network["id"], **{name: usual})
    assert share(cloud.alice, network).status_code == 201


@pytest.mark.parametrize("name", OF_PORT)
def test_what_its_owner_chose_for_a_port_stands_in_the_way(
    cloud: Cloud, network: dict[str, Any], name: str
) -> None:
    lowered, usual = OF_PORT[name]
    fields = {"network_id": network["id"], "security_groups": []}
    port = cloud.alice.make("port", **fields, **{name: lowered})
    require_refused(cloud, network, f"{name}", port["id"])
    cloud.alice.change("port", port["id"], **{name: usual})
    assert share(cloud.alice, network).status_code == 201


def test_more_addresses_than_a_port_may_have_there_stand_in_the_way(
    cloud: Cloud, network: dict[str, Any]
) -> None:
    wished = [{"subnet_id": network["subnets"][0]}] * 6
    port = cloud.alice.make("port", network_id=network["id"], fixed_ips=wished)
    require_refused(cloud, network, "5 fixed_ips", port["id"])
    cloud.alice.change("port", port["id"], fixed_ips=port["fixed_ips"][:5])
    assert share(cloud.alice, network).status_code == 201


def test_an_address_of_an_ip_group_that_no_pool_gives_stands_in_the_way(
    cloud: Cloud, network: dict[str, Any]
) -> None:
    wished = [{"ip_address": "10.0.0.1"}]
    group = cloud.alice.make("ip_group", network_id=network["id"], addresses=wished)
    require_refused(cloud, network, "10.0.0.1", group["id"])
    cloud.alice.change("ip_group", group["id"], addresses=[{"ip_address": "10.0.0.7"}])
    assert share(cloud.alice, network).status_code == 201


def test_what_says_nothing_of_guards_does_not_stand_in_the_way(cloud: Cloud) -> None:
    cloud.has_host(groups=True)
    words = {"mtu": 9000, "dns_domain": "example.", "availability_zone_hints": ["a"]}
    network = cloud.alice.network("10.0.0.0/24", "fd00::/64", **words)
    cloud.alice.make("port", network_id=network["id"], fixed_ips=[{"ip_address": "10.0.0.7"}])
    assert share(cloud.alice, network).status_code == 201
    shown = cloud.alice.get(f"networks/{network['id']}")["network"]
    assert {name: shown[name] for name in words} == words
    for name, value in (("mtu", 1400), ("dns_domain", "other.")):
        assert cloud.alice.refused("network", network["id"], **{name: value})[0] == 403
        assert cloud.admin.change("network", network["id"], **{name: value})[name] == value


def test_the_page_names_every_choice_that_stands_in_the_way() -> None:
    text = " ".join(policy_page.page().split())
    told = text[text.index("These choices stand") : text.index("do not: no frame")]
    assert all(f"`{name}`" in told for name in OF_NETWORK)
    others = {"roles", "ethertypes", "MAC", "address pairs", "binding:vnic_type", "no pool gives"}
    assert all(name in told for name in others)
    assert all(f"`{name}`" in told for name in ("mtu", "dns_domain", "availability_zone_hints"))


def test_another_target_shares_as_a_new_policy_does(cloud: Cloud, network: dict[str, Any]) -> None:
    cloud.alice.change("network", network["id"], guard_profile="off")
    policy = share(cloud.alice, network, "p1").json()["rbac_policy"]
    status, kind, _ = cloud.alice.refused("rbac_policy", policy["id"], target_tenant="p2")
    assert (status, kind) == (409, "InvalidSharedSetting")


def test_the_operator_chooses_as_it_shares_and_afterwards(
    cloud: Cloud, network: dict[str, Any]
) -> None:
    changed = cloud.admin.change("network", network["id"], shared=True, guard_profile="router")
    assert changed["guard_profile"] == "router"
    port = cloud.admin.make("port", network_id=network["id"], port_security_enabled=False)
    assert share(cloud.alice, network).status_code == 201
    assert cloud.admin.get(f"ports/{port['id']}")["port"]["port_security_enabled"] is False


def test_of_sharing_and_lowering_at_once_one_is_refused(
    cloud: Cloud, network: dict[str, Any]
) -> None:
    port = {"network_id": network["id"], "guard_profile": "off", "security_groups": []}
    with ThreadPoolExecutor(2) as both:
        for _ in range(8):
            made = both.submit(cloud.alice.call, "POST", "ports", {"port": port})
            shared = both.submit(share, cloud.alice, network)
            outcome = (made.result().status_code, shared.result().status_code)
            assert outcome in {(201, 409), (403, 201)}
            for answer, path, one in (
                (made, "ports", "port"),
                (shared, "rbac-policies", "rbac_policy"),
            ):
                if answer.result().status_code == 201:
                    ident = answer.result().json()[one]["id"]
                    assert cloud.alice.call("DELETE", f"{path}/{ident}").status_code == 204
