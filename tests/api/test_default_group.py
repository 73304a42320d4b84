"""A project's default security group, which is there before anybody has written anything."""

from typing import Any

import pytest
from tests.api.cloud import Cloud, User

Call = tuple[str, str, dict[str, Any] | None]


@pytest.fixture
def held(cloud: Cloud) -> Cloud:
    """A cloud whose host can hold security groups."""
    cloud.has_host(groups=True)
    return cloud


def default_of(user: User) -> dict[str, Any]:
    """What a list by name finds."""
    (found,) = user.get("security-groups", name="default")["security_groups"]
    return dict(found)


def timeless(group: dict[str, Any]) -> dict[str, Any]:
    """A group without what tells when it was made."""
    times = {"created_at", "updated_at"}
    rules = [
        {name: value for name, value in rule.items() if name not in times}
        for rule in group["security_group_rules"]
    ]
    kept = {name: value for name, value in group.items() if name not in times}
    return kept | {"security_group_rules": sorted(rules, key=lambda rule: str(rule["id"]))}


def test_it_is_shown_to_a_project_that_has_written_nothing(held: Cloud) -> None:
    """N1: the list was empty, and "default" was the name of nothing."""
    before = held.rows()
    group = default_of(held.alice)
    assert (group["project_id"], group["stateful"]) == ("p1", True)
    assert len(group["security_group_rules"]) == 4
    assert default_of(held.rita) == group
    assert held.alice.get(f"security-groups/{group['id']}")["security_group"] == group
    rules = held.alice.get("security-group-rules")["security_group_rules"]
    assert rules == group["security_group_rules"]
    for rule in rules:
        one = held.alice.get(f"security-group-rules/{rule['id']}")["security_group_rule"]
        assert one == rule
    assert default_of(held.bob)["id"] != group["id"]
    assert held.bob.call("GET", f"security-groups/{group['id']}").status_code == 404
    assert held.rows() == before


def test_it_is_made_as_it_was_shown(held: Cloud) -> None:
    shown = default_of(held.alice)
    held.alice.make("security_group", name="web")
    made = default_of(held.alice)
    assert timeless(made) == timeless(shown)
    assert made["created_at"] > shown["created_at"]


@pytest.mark.parametrize(
    "write",
    [
        lambda g: ("POST", "security-group-rules", {"security_group_rule": {
            "security_group_id": g["id"], "direction": "ingress", "protocol": "icmp"}}),
        lambda g: ("PUT", f"security-groups/{g['id']}", {"security_group": {"description": "x"}}),
        lambda g: ("DELETE", f"security-group-rules/{g['security_group_rules'][0]['id']}", None),
        lambda g: ("PUT", f"security-groups/{g['id']}/tags/t", None),
        lambda g: ("POST", "rbac-policies", {"rbac_policy": {
            "object_type": "security_group", "object_id": g["id"],
            "action": "access_as_shared", "target_tenant": "p2"}}),
    ],
    ids=["rule", "change", "rule deleted", "tag", "share"],
)  # fmt: skip
def test_a_write_may_name_it_first(held: Cloud, write: Any) -> None:
    group = default_of(held.alice)
    method, path, body = write(group)
    answer = held.alice.call(method, path, body)
    assert answer.status_code in {200, 201, 204}, answer.text
    assert default_of(held.alice)["id"] == group["id"]


def test_ports_and_rules_may_refer_to_it_first(held: Cloud) -> None:
    network = held.admin.network("10.0.0.0/24", shared=True)
    group = default_of(held.alice)
    ports = [{"network_id": network["id"], "security_groups": [group["id"]]}] * 2
    answer = held.alice.call("POST", "ports", {"ports": ports})
    assert answer.status_code == 201, answer.text
    assert [port["security_groups"] for port in answer.json()["ports"]] == [[group["id"]]] * 2
    other = held.bob.make("security_group", name="web")
    rule = {"direction": "ingress", "remote_group_id": default_of(held.bob)["id"]}
    held.bob.make("security_group_rule", security_group_id=other["id"], **rule)


def test_one_that_was_made_before_is_the_only_one(held: Cloud) -> None:
    held.alice.make("security_group", name="web")
    names = [g["name"] for g in held.alice.get("security-groups")["security_groups"]]
    assert sorted(names) == ["default", "web"]


def test_the_operator_makes_another_projects_before_that_has_written_anything(cloud: Cloud) -> None:
    cloud.has_host(groups=True)
    wanted = {"name": "default", "project_id": "p7"}
    made = cloud.admin.make("security_group", **wanted, description="ours")
    assert (made["project_id"], made["name"], made["description"]) == ("p7", "default", "ours")
    assert len(made["security_group_rules"]) == 4
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    port = cloud.admin.make("port", network_id=network["id"], project_id="p7")
    assert port["security_groups"] == [made["id"]]
    again = cloud.admin.refused("security_group", **wanted)
    assert again[:2] == (409, "SecurityGroupDefaultAlreadyExists")
    assert cloud.alice.refused("security_group", name="default")[0] == 409
