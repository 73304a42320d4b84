"""Quotas: what the operator says that a project may have, and what it has."""

from typing import Any

import pytest
from tests.api.cloud import Cloud, User, refusal


def quota(user: User, project: str, what: str = "") -> Any:
    return user.get(f"quotas/{project}{what}")["quota"]


def set_quota(cloud: Cloud, project: str, **limits: Any) -> Any:
    answer = cloud.admin.call("PUT", f"quotas/{project}", {"quota": limits})
    return answer.json()["quota"] if answer.status_code == 200 else refusal(answer)


def test_a_project_has_the_usual_until_the_operator_says_else(cloud: Cloud) -> None:
    usual = quota(cloud.alice, "p1", "/default")
    assert quota(cloud.alice, "p1") == usual == quota(cloud.admin, "p7")
    assert usual["port"] == 500
    assert cloud.admin.get("quotas") == {"quotas": []}
    changed = set_quota(cloud, "p1", port=2, network=-1)
    assert changed == usual | {"port": 2, "network": -1} == quota(cloud.rita, "p1")
    assert set_quota(cloud, "p1", port=3)["network"] == -1
    (listed,) = cloud.admin.get("quotas")["quotas"]
    assert listed == changed | {"port": 3, "project_id": "p1", "tenant_id": "p1"}
    assert quota(cloud.bob, "p2") == usual
    assert cloud.admin.call("DELETE", "quotas/p1").status_code == 204
    assert quota(cloud.alice, "p1") == usual
    answer = cloud.admin.call("DELETE", "quotas/p1")
    assert refusal(answer)[:2] == (404, "TenantQuotaNotFound")


def test_it_bounds_the_project(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    set_quota(cloud, "p1", port=1)
    made = cloud.alice.make("port", network_id=network["id"])
    status, kind, message = cloud.alice.refused("port", network_id=network["id"])
    assert (status, kind) == (409, "OverQuota")
    assert "['port']" in message
    assert cloud.bob.make("port", network_id=network["id"])
    details = quota(cloud.alice, "p1", "/details")
    assert details["port"] == {"limit": 1, "used": 1, "reserved": 0}
    assert details["network"]["used"] == 0
    assert cloud.alice.call("DELETE", f"ports/{made['id']}").status_code == 204
    assert quota(cloud.alice, "p1", "/details")["port"]["used"] == 0
    set_quota(cloud, "p1", port=0)
    assert cloud.alice.refused("port", network_id=network["id"])[1] == "OverQuota"
    set_quota(cloud, "p1", port=-1)
    body = {"ports": [{"network_id": network["id"]}] * 5}
    assert cloud.alice.call("POST", "ports", body).status_code == 201


def test_a_bulk_fills_the_quota_and_no_more(cloud: Cloud) -> None:
    network = cloud.admin.network(shared=True)
    set_quota(cloud, "p1", port=5)
    for many, status in ((6, 409), (5, 201), (1, 409)):
        body = {"ports": [{"network_id": network["id"]}] * many}
        assert cloud.alice.call("POST", "ports", body).status_code == status


def test_a_subnet_gives_no_addresses_beyond_the_quota(cloud: Cloud) -> None:
    network = cloud.admin.make("network", shared=True)
    set_quota(cloud, "p1", ip_address=1)
    for _ in range(2):
        cloud.alice.make("port", network_id=network["id"])
    slaac = {"ip_version": 6, "ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
    asked = {"network_id": network["id"], "cidr": "2001:db8::/64", **slaac}
    before = cloud.rows()
    assert cloud.admin.refused("subnet", **asked)[:2] == (409, "OverQuota")
    assert cloud.rows() == before
    set_quota(cloud, "p1", ip_address=2)
    cloud.admin.make("subnet", **asked)


def test_addresses_are_counted_wherever_they_are(cloud: Cloud) -> None:
    """A 1.6: four requests emptied a shared /24."""
    network = cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)
    set_quota(cloud, "p1", ip_address=4)
    here = {"network_id": network["id"]}
    port = cloud.alice.make("port", **here)
    assert len(port["fixed_ips"]) == 2
    wished = [{"subnet_id": network["subnets"][0]}]
    group = cloud.alice.make("ip_group", **here, addresses=wished)
    before = cloud.rows()
    for answer in (
        cloud.alice.refused("port", **here),
        cloud.alice.refused("ip_group", **here, addresses=wished * 2),
        cloud.alice.refused("ip_group", group["id"], addresses=wished * 3),
        cloud.alice.refused("port", port["id"], fixed_ips=wished * 4),
        refusal(cloud.alice.call("POST", "ports", {"ports": [{**here, "fixed_ips": wished}] * 2})),
    ):
        assert answer[:2] == (409, "OverQuota")
        assert "['ip_address']" in answer[2]
    assert cloud.rows() == before
    assert quota(cloud.alice, "p1", "/details")["ip_address"]["used"] == 3
    assert cloud.alice.make("port", **here, fixed_ips=wished)
    assert cloud.admin.refused("port", **here, project_id="p1")[1] == "OverQuota"


def test_a_port_on_a_shared_network_has_five_addresses(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    here = {"network_id": network["id"]}
    wished = [{"subnet_id": network["subnets"][0]}]
    before = cloud.rows()
    status, kind, message = cloud.alice.refused("port", **here, fixed_ips=wished * 6)
    assert (status, kind) == (400, "InvalidInput")
    assert "6 are more than the 5" in message
    assert cloud.rows() == before
    port = cloud.alice.make("port", **here, fixed_ips=wished * 5)
    assert cloud.alice.refused("port", port["id"], fixed_ips=wished * 6)[0] == 400
    port = cloud.admin.change("port", port["id"], fixed_ips=wished * 7)
    kept = cloud.alice.change("port", port["id"], fixed_ips=port["fixed_ips"][1:])
    assert len(kept["fixed_ips"]) == 6
    own = cloud.alice.network("10.0.0.0/24")
    mine = {"network_id": own["id"], "fixed_ips": [{"subnet_id": own["subnets"][0]}] * 6}
    assert len(cloud.alice.make("port", **mine)["fixed_ips"]) == 6


def test_a_quota_below_what_is_used_is_said_twice(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    for _ in range(2):
        cloud.alice.make("port", network_id=network["id"])
    before = cloud.rows()
    status, kind, message = set_quota(cloud, "p1", subnet=5, port=1)
    assert (status, kind) == (400, "HTTPBadRequest")
    assert "port must be greater than or equal to already used 2" in message
    assert cloud.rows() == before
    assert set_quota(cloud, "p1", port=1, force=True)["port"] == 1


@pytest.mark.parametrize(
    "limits", [{"port": -2}, {"port": "many"}, {"port": None}, {"router": 1}, {"port": 2**31}]
)
def test_what_is_no_quota(cloud: Cloud, limits: dict[str, Any]) -> None:
    assert set_quota(cloud, "p1", **limits)[0] == 400
    answer = cloud.admin.call("PUT", "quotas/p%201", {"quota": {"port": 1}})
    assert refusal(answer)[0] == 400


def test_others_quotas_are_the_operators(cloud: Cloud) -> None:
    for what in ("", "/default", "/details"):
        assert refusal(cloud.bob.call("GET", f"quotas/p1{what}"))[0] == 403
    body = {"quota": {"port": 1}}
    assert refusal(cloud.alice.call("PUT", "quotas/p1", body))[0] == 403
    assert refusal(cloud.alice.call("DELETE", "quotas/p1"))[0] == 403
    assert cloud.alice.get("quotas/project") == {"project": {"project_id": "p1"}}
    assert cloud.alice.get("quotas/tenant") == {"tenant": {"tenant_id": "p1"}}
