"""Default rules: what new security groups begin with."""

from typing import Any

import pytest
from tests.api.cloud import Cloud, refusal

PATH = "default-security-group-rules"


@pytest.fixture
def groups(cloud: Cloud) -> Cloud:
    cloud.has_host(groups=True)
    return cloud


def said(rules: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    keys = ("direction", "ethertype", "protocol", "port_range_min", "remote_ip_prefix")
    return {tuple(rule[key] for key in keys) for rule in rules}


def test_at_first_they_are_neutrons(groups: Cloud) -> None:
    rules = groups.alice.get(PATH)["default_security_group_rules"]
    assert len(rules) == 4
    for way, remote, others in (("egress", None, True), ("ingress", "PARENT", False)):
        found = [rule for rule in rules if rule["direction"] == way]
        assert {rule["ethertype"] for rule in found} == {"IPv4", "IPv6"}
        assert {rule["remote_group_id"] for rule in found} == {remote}
        assert {rule["used_in_non_default_sg"] for rule in found} == {others}
        assert all(rule["used_in_default_sg"] for rule in found)


def test_a_new_group_begins_with_what_the_operator_chose(groups: Cloud) -> None:
    cloud = groups
    before = cloud.alice.make("security_group", name="before")
    for rule in cloud.admin.get(PATH)["default_security_group_rules"]:
        assert cloud.admin.call("DELETE", f"{PATH}/{rule['id']}").status_code == 204
    ssh = {"direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    made = cloud.admin.make("default_security_group_rule", **ssh, description="x")
    assert (made["used_in_default_sg"], made["used_in_non_default_sg"]) == (False, True)
    members = {"direction": "ingress", "ethertype": "IPv6", "remote_group_id": "PARENT"}
    cloud.admin.make(
        "default_security_group_rule",
        **members,
        used_in_default_sg=True,
        used_in_non_default_sg=True,
    )
    group = cloud.alice.make("security_group", name="after")
    rules = group["security_group_rules"]
    assert said(rules) == {
        ("ingress", "IPv4", "tcp", 22, None),
        ("ingress", "IPv6", None, None, None),
    }
    assert {rule["remote_group_id"] for rule in rules} == {None, group["id"]}
    kept = cloud.alice.get(f"security-groups/{before['id']}")["security_group"]
    assert kept == before
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    port = cloud.bob.make("port", network_id=network["id"])
    default = cloud.bob.get(f"security-groups/{port['security_groups'][0]}")["security_group"]
    assert said(default["security_group_rules"]) == {("ingress", "IPv6", None, None, None)}
    assert cloud.alice.get(f"{PATH}/{made['id']}")["default_security_group_rule"] == made


def test_two_for_the_same_groups_do_not_mean_the_same(groups: Cloud) -> None:
    cloud = groups
    rule = {"direction": "egress", "ethertype": "IPv4", "remote_ip_prefix": "0.0.0.0/0"}
    before = cloud.rows()
    status, kind, _ = cloud.admin.refused("default_security_group_rule", **rule)
    assert (status, kind) == (409, "DefaultSecurityGroupRuleExists")
    assert cloud.rows() == before
    ssh = {"direction": "ingress", "protocol": "tcp"}
    cloud.admin.make("default_security_group_rule", **ssh)
    only = {"used_in_default_sg": True, "used_in_non_default_sg": False}
    assert cloud.admin.make("default_security_group_rule", **ssh, **only)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"remote_group_id": "11111111-1111-1111-1111-111111111111"}, 400),
        ({"remote_address_group_id": "11111111-1111-1111-1111-111111111111"}, 400),
        ({"remote_group_id": "PARENT", "remote_ip_prefix": "10.0.0.0/8"}, 400),
        ({"direction": "sideways"}, 400),
        ({"used_in_default_sg": "perhaps"}, 400),
        ({"security_group_id": "11111111-1111-1111-1111-111111111111"}, 400),
    ],
)
def test_what_is_no_default_rule(groups: Cloud, fields: dict[str, Any], status: int) -> None:
    rule = {"direction": "ingress"} | fields
    assert groups.admin.refused("default_security_group_rule", **rule)[0] == status


def test_they_are_the_operators(groups: Cloud) -> None:
    assert groups.alice.refused("default_security_group_rule", direction="ingress")[0] == 403
    rule = groups.alice.get(PATH)["default_security_group_rules"][0]["id"]
    assert refusal(groups.alice.call("DELETE", f"{PATH}/{rule}"))[0] == 403
    nobody = f"{PATH}/11111111-1111-1111-1111-111111111111"
    for method in ("GET", "DELETE"):
        answer = groups.admin.call(method, nobody)
        assert refusal(answer)[:2] == (404, "DefaultSecurityGroupRuleNotFound")
