"""Subnet pools: what subnets get from them, and who may use them."""

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.cloud import Cloud, refusal

from vifguard.model.subnet_pool import compact, first_free, holds, left


@pytest.fixture
def own(cloud: Cloud) -> dict[str, Any]:
    cloud.has_host()
    return cloud.alice.make("network", name="own")


def make_pool(cloud: Cloud, *prefixes: str, user: str = "alice", **fields: Any) -> dict[str, Any]:
    return getattr(cloud, user).make("subnetpool", name="pool", prefixes=list(prefixes), **fields)


def subnet_of(cloud: Cloud, network: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return cloud.alice.make("subnet", network_id=network["id"], **fields)


def test_a_pool_has_neutrons_usual_bounds(cloud: Cloud) -> None:
    v4 = make_pool(cloud, "10.0.0.0/9", "10.128.0.0/9", "192.168.0.0/16")
    assert v4["prefixes"] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert (v4["ip_version"], v4["default_quota"], v4["shared"]) == (4, None, False)
    lengths = ("min_prefixlen", "default_prefixlen", "max_prefixlen")
    assert [v4[name] for name in lengths] == ["8", "8", "32"]
    v6 = make_pool(cloud, "2001:db8::/48", default_prefixlen="72")
    assert [v6[name] for name in lengths] == ["64", "72", "128"]
    changed = cloud.alice.change("subnetpool", v4["id"], min_prefixlen=16, default_prefixlen=24)
    assert [changed[name] for name in lengths] == ["16", "24", "32"]
    assert cloud.alice.get(f"subnetpools/{v4['id']}")["subnetpool"] == changed
    assert len(cloud.alice.get("subnetpools", ip_version=6)["subnetpools"]) == 1


def test_subnets_get_the_first_free_prefix(cloud: Cloud, own: dict[str, Any]) -> None:
    pool = make_pool(cloud, "10.0.0.0/22", default_prefixlen=24)
    here = {"subnetpool_id": pool["id"], "ip_version": 4}
    first = subnet_of(cloud, own, **here)
    assert (first["cidr"], first["subnetpool_id"]) == ("10.0.0.0/24", pool["id"])
    assert first["gateway_ip"] == "10.0.0.1"
    assert subnet_of(cloud, own, **here, prefixlen=26)["cidr"] == "10.0.1.0/26"
    assert subnet_of(cloud, own, **here, prefixlen=26)["cidr"] == "10.0.1.64/26"
    assert subnet_of(cloud, own, **here, prefixlen=23)["cidr"] == "10.0.2.0/23"
    assert subnet_of(cloud, own, **here, cidr="10.0.1.192/26")["cidr"] == "10.0.1.192/26"
    more = {"network_id": own["id"]} | here
    for refused in (
        cloud.alice.refused("subnet", **more),
        cloud.alice.refused("subnet", **more, cidr="10.0.1.128/25"),
        cloud.alice.refused("subnet", **more, cidr="10.9.0.0/24"),
    ):
        assert refused[:2] == (409, "SubnetAllocationError")
    answer = cloud.alice.call("DELETE", f"subnetpools/{pool['id']}")
    assert refusal(answer)[:2] == (400, "SubnetPoolDeleteError")
    assert cloud.alice.call("DELETE", f"subnets/{first['id']}").status_code == 204
    assert subnet_of(cloud, own, **here)["cidr"] == "10.0.0.0/24"


def test_a_quota_counts_addresses(cloud: Cloud, own: dict[str, Any]) -> None:
    pool = make_pool(cloud, "10.0.0.0/16", default_prefixlen=24, default_quota=300)
    here = {"subnetpool_id": pool["id"]}
    subnet_of(cloud, own, **here)
    refused = cloud.alice.refused("subnet", network_id=own["id"], **here)
    assert refused[:2] == (409, "SubnetPoolQuotaExceeded")
    assert subnet_of(cloud, own, **here, prefixlen=27)


def test_one_default_of_each_version(cloud: Cloud, own: dict[str, Any]) -> None:
    asked = {"network_id": own["id"], "use_default_subnetpool": True, "ip_version": 4}
    assert cloud.alice.refused("subnet", **asked)[:2] == (400, "BadRequest")
    make_pool(cloud, "10.0.0.0/16", user="admin", is_default=True, shared=True, min_prefixlen=24)
    status, kind, _ = cloud.admin.refused(
        "subnetpool", name="x", prefixes=["10.9.0.0/16"], is_default=True
    )
    assert (status, kind) == (400, "InvalidInput")
    made = cloud.alice.make("subnet", **asked)
    assert made["cidr"] == "10.0.0.0/24"
    assert cloud.alice.refused("subnetpool", prefixes=["10.9.0.0/16"], is_default=True)[0] == 403
    assert cloud.alice.refused("subnetpool", prefixes=["10.9.0.0/16"], shared=True)[0] == 403


def test_whose_pool(cloud: Cloud, own: dict[str, Any]) -> None:
    pool = make_pool(cloud, "10.0.0.0/16", user="bob", default_prefixlen=24)
    where = f"subnetpools/{pool['id']}"
    asked = {"network_id": own["id"], "subnetpool_id": pool["id"]}
    for answer in (
        cloud.alice.call("GET", where),
        cloud.alice.call("PUT", where, {"subnetpool": {"name": "x"}}),
        cloud.alice.call("DELETE", where),
        cloud.alice.call("POST", "subnets", {"subnet": asked}),
    ):
        assert refusal(answer)[:2] == (404, "SubnetPoolNotFound")
    shares = {"object_type": "subnetpool", "object_id": pool["id"], "action": "access_as_shared"}
    policy = cloud.bob.make("rbac_policy", **shares, target_tenant="p1")
    assert cloud.alice.get(where)["subnetpool"]["shared"] is True
    assert cloud.alice.refused("subnetpool", pool["id"], name="x")[0] == 403
    made = cloud.alice.make("subnet", **asked)
    answer = cloud.bob.call("DELETE", f"rbac-policies/{policy['id']}")
    assert refusal(answer)[:2] == (409, "RbacPolicyInUse")
    cloud.alice.call("DELETE", f"subnets/{made['id']}")
    assert cloud.bob.call("DELETE", f"rbac-policies/{policy['id']}").status_code == 204
    assert cloud.bob.call("DELETE", where).status_code == 204


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "2001:db8::/32"]}, "PrefixVersionMismatch"),
        ({"prefixes": ["10.0.0.1/33"]}, "HTTPBadRequest"),
        ({"prefixes": "10.0.0.0/8"}, "HTTPBadRequest"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 7}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_quota": -1}, "HTTPBadRequest"),
        ({"address_scope_id": "11111111-1111-1111-1111-111111111111"}, "HTTPBadRequest"),
    ],
)
def test_what_is_no_pool(cloud: Cloud, fields: dict[str, Any], kind: str) -> None:
    before = cloud.rows()
    asked = {"prefixes": ["10.0.0.0/8"]} | fields
    assert cloud.alice.refused("subnetpool", **asked)[:2] == (400, kind)
    assert cloud.rows() == before


def test_a_pool_only_grows(cloud: Cloud) -> None:
    pool = make_pool(cloud, "10.0.0.0/16")
    for prefixes in (["10.0.0.0/17"], ["10.1.0.0/16"]):
        refused = cloud.alice.refused("subnetpool", pool["id"], prefixes=prefixes)
        assert refused[:2] == (400, "IllegalSubnetPoolPrefixUpdate")
    changed = cloud.alice.change("subnetpool", pool["id"], prefixes=["10.0.0.0/15"])
    assert changed["prefixes"] == ["10.0.0.0/15"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, "BadRequest"),
        ({"cidr": None, "subnetpool_id": None}, "BadRequest"),
        ({"use_default_subnetpool": True}, "BadRequest"),
        ({"ip_version": 6}, "BadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.5", "end": "10.0.0.9"}]}, "BadRequest"),
        ({"prefixlen": 15}, "MinPrefixSubnetAllocationError"),
        ({"prefixlen": 29}, "MaxPrefixSubnetAllocationError"),
    ],
)
def test_what_no_pool_gives(
    cloud: Cloud, own: dict[str, Any], fields: dict[str, Any], kind: str
) -> None:
    pool = make_pool(cloud, "10.0.0.0/8", min_prefixlen=16, max_prefixlen=28)
    asked = {"network_id": own["id"], "subnetpool_id": pool["id"]} | fields
    before = cloud.rows()
    assert cloud.alice.refused("subnet", **asked)[:2] == (400, kind)
    assert cloud.rows() == before


def test_one_network_one_pool(cloud: Cloud, own: dict[str, Any]) -> None:
    pool = make_pool(cloud, "10.0.0.0/16", default_prefixlen=24)
    other = make_pool(cloud, "10.1.0.0/16", default_prefixlen=24)
    subnet_of(cloud, own, subnetpool_id=pool["id"])
    for fields in ({"subnetpool_id": other["id"]}, {"cidr": "192.168.0.0/24"}):
        refused = cloud.alice.refused("subnet", network_id=own["id"], **fields)
        assert refused[:2] == (400, "NetworkSubnetPoolAffinityError")
    assert subnet_of(cloud, own, cidr="2001:db8::/64")


def test_service_types_choose_the_subnet(cloud: Cloud) -> None:
    network = cloud.admin.network(shared=True)
    here = {"network_id": network["id"]}
    kinds = ["compute:nova", "network:dhcp"]
    first = cloud.admin.make("subnet", **here, cidr="10.0.0.0/24", service_types=kinds)
    assert first["service_types"] == kinds
    cloud.admin.make("subnet", **here, cidr="10.1.0.0/24")
    found = {
        owner: cloud.admin.make("port", **here, device_owner=owner)["fixed_ips"][0]["ip_address"]
        for owner in ("compute:nova", "")
    }
    assert found == {"compute:nova": "10.0.0.2", "": "10.1.0.2"}
    wish = [{"subnet_id": first["id"]}]
    asked = cloud.admin.make("port", **here, fixed_ips=wish)
    assert asked["fixed_ips"][0]["ip_address"] == "10.0.0.3"
    assert cloud.admin.change("subnet", first["id"], service_types=[])["service_types"] == []
    for bad, kind in (("x", "InvalidSubnetServiceType"), (1, "InvalidInputSubnetServiceType")):
        refused = cloud.admin.refused("subnet", first["id"], service_types=[bad])
        assert refused[:2] == (400, kind)


def test_how_many_addresses_are_left(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/29", "2001:db8::/64", name="front", shared=True)
    empty = cloud.admin.make("network", name="empty")
    cloud.admin.make("port", network_id=network["id"])
    shown = cloud.admin.get(f"network-ip-availabilities/{network['id']}")["network_ip_availability"]
    v4, v6 = shown["subnet_ip_availability"]
    assert (v4["cidr"], v4["total_ips"], v4["used_ips"]) == ("10.0.0.0/29", 5, 1)
    assert (v6["ip_version"], v6["total_ips"], v6["used_ips"]) == (6, 2**64 - 2, 1)
    assert (shown["total_ips"], shown["used_ips"]) == (2**64 + 3, 2)
    every = cloud.admin.get("network-ip-availabilities")["network_ip_availabilities"]
    assert [each["network_name"] for each in every] == ["front", "empty"]
    only = cloud.admin.get("network-ip-availabilities", ip_version=4)["network_ip_availabilities"]
    assert [(each["network_id"], each["total_ips"]) for each in only] == [(network["id"], 5)]
    cloud.admin.network("10.1.0.0/29")
    page = cloud.admin.get("network-ip-availabilities", ip_version=4, limit=1)
    (link,) = page["network_ip_availabilities_links"]
    assert "ip_version=4" in link["href"]
    named = cloud.admin.get("network-ip-availabilities", network_name="empty")
    assert [each["network_id"] for each in named["network_ip_availabilities"]] == [empty["id"]]
    assert cloud.alice.get("network-ip-availabilities") == {"network_ip_availabilities": []}


prefixes = st.builds(
    lambda number, length: ip_network((number >> (8 - length) << (8 - length) << 24, length)),
    st.integers(0, 255),
    st.integers(1, 8),
)


@given(
    st.lists(prefixes, min_size=1, max_size=4), st.lists(prefixes, max_size=6), st.integers(1, 10)
)
def test_what_is_given_is_of_the_pool_and_nobodys(pool: Any, taken: Any, length: int) -> None:
    found = first_free(pool, taken, length)
    pieces = left(pool, taken)
    assert holds(compact(pool), found) if found else all(p.prefixlen > length for p in pieces)
    if found:
        assert found.prefixlen == length
        assert not any(found.overlaps(each) for each in taken)
