"""RBAC policies: who is shown what, may use it, may not change it, and how it is taken back."""

from typing import Any

import pytest
from tests.api.cloud import Cloud, User, refusal

NOBODY = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def groups(cloud: Cloud) -> Cloud:
    cloud.has_host(groups=True)
    return cloud


def share(user: User, kind: str, shared: dict[str, Any], target: str = "p2") -> dict[str, Any]:
    answer = user.call("POST", "rbac-policies", {"rbac_policy": _policy(kind, shared, target)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["rbac_policy"]
    return made


def refused(user: User, kind: str, shared: dict[str, Any], **more: Any) -> tuple[int, str, str]:
    body = {"rbac_policy": _policy(kind, shared, "p2") | more}
    return refusal(user.call("POST", "rbac-policies", body))


def unshare(user: User, policy: dict[str, Any]) -> tuple[int, str, str] | int:
    answer = user.call("DELETE", f"rbac-policies/{policy['id']}")
    return answer.status_code if answer.status_code == 204 else refusal(answer)


def _policy(kind: str, shared: dict[str, Any], target: str) -> dict[str, Any]:
    return {
        "object_type": kind,
        "object_id": shared["id"],
        "target_tenant": target,
        "action": "access_as_shared",
    }


def test_a_network_is_shared_with_one_project(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    policy = share(cloud.alice, "network", network)
    assert policy["target_tenant"] == "p2"
    assert cloud.bob.get(f"networks/{network['id']}")["network"]["shared"] is True
    assert [each["id"] for each in cloud.bob.get("networks")["networks"]] == [network["id"]]
    assert cloud.bob.get("networks", shared="true")["networks"]
    assert len(cloud.bob.get("subnets")["subnets"]) == 1
    assert cloud.alice.get(f"networks/{network['id']}")["network"]["shared"] is False
    port = cloud.bob.make("port", network_id=network["id"])
    assert cloud.bob.refused("network", network["id"], name="x")[0] == 403
    assert cloud.bob.refused("port", port["id"], allowed_address_pairs=[])[0] == 403
    # What several projects are on is guarded as such; its owner chooses no MAC on it any more.
    mac = {"mac_address": "02:00:00:00:00:01"}
    assert cloud.alice.refused("port", network_id=network["id"], **mac)[0] == 403
    status, kind, message = unshare(cloud.alice, policy)  # type: ignore[misc]
    assert (status, kind) == (409, "RbacPolicyInUse")
    assert "p2" in message
    assert cloud.bob.call("DELETE", f"ports/{port['id']}").status_code == 204
    assert unshare(cloud.alice, policy) == 204
    assert refusal(cloud.bob.call("GET", f"networks/{network['id']}"))[0] == 404
    assert cloud.bob.get("networks")["networks"] == []
    assert cloud.alice.make("port", network_id=network["id"], **mac)


def test_shared_with_all_is_a_policy(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    (policy,) = cloud.admin.get("rbac-policies", object_id=network["id"])["rbac_policies"]
    assert (policy["target_tenant"], policy["object_type"]) == ("*", "network")
    assert refused(cloud.admin, "network", network, target_tenant="*")[:2] == (
        409,
        "DuplicateRbacPolicy",
    )
    assert unshare(cloud.admin, policy) == 204
    assert cloud.admin.get(f"networks/{network['id']}")["network"]["shared"] is False
    assert cloud.alice.get("networks")["networks"] == []
    changed = cloud.admin.change("network", network["id"], shared=True)
    assert changed["shared"] is True
    share(cloud.admin, "network", network, "p1")
    port = cloud.alice.make("port", network_id=network["id"])
    assert cloud.admin.change("network", network["id"], shared=False)["shared"] is False
    assert cloud.bob.get("networks")["networks"] == []
    assert cloud.alice.get(f"ports/{port['id']}")["port"]["network_id"] == network["id"]
    bob = cloud.admin.change("network", network["id"], shared=True)
    assert bob["shared"] is True
    assert cloud.bob.make("port", network_id=network["id"])
    status, kind, _ = cloud.admin.refused("network", network["id"], shared=False)
    assert (status, kind) == (409, "InvalidSharedSetting")


def test_a_network_with_an_uplink_stays_shared_with_somebody(cloud: Cloud) -> None:
    network = cloud.admin.make(
        "network",
        shared=True,
        **{"provider:network_type": "flat", "provider:physical_network": "physnet1"},
    )
    (policy,) = cloud.admin.get("rbac-policies")["rbac_policies"]
    assert unshare(cloud.admin, policy)[1] == "RbacPolicyInUse"  # type: ignore[index]
    mine = share(cloud.admin, "network", network, "p1")
    assert cloud.admin.change("network", network["id"], shared=False)["shared"] is False
    assert cloud.alice.get(f"networks/{network['id']}")["network"]["shared"] is True
    assert refusal(cloud.bob.call("GET", f"networks/{network['id']}"))[0] == 404
    assert unshare(cloud.admin, mine)[1] == "RbacPolicyInUse"  # type: ignore[index]
    assert cloud.admin.call("DELETE", f"networks/{network['id']}").status_code == 204
    assert cloud.admin.get("rbac-policies") == {"rbac_policies": []}


def test_a_security_group_is_used_and_not_changed(groups: Cloud) -> None:
    cloud = groups
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    group = cloud.alice.make("security_group", name="web")
    asked = {"network_id": network["id"], "security_groups": [group["id"]]}
    assert cloud.bob.refused("port", **asked)[1] == "SecurityGroupNotFound"
    policy = share(cloud.alice, "security_group", group)
    seen = cloud.bob.get(f"security-groups/{group['id']}")["security_group"]
    assert seen["shared"] is True
    assert len(seen["security_group_rules"]) == 2
    assert group["id"] in {g["id"] for g in cloud.bob.get("security-groups")["security_groups"]}
    assert cloud.bob.refused("security_group", group["id"], name="x")[0] == 403
    rule = {"security_group_id": group["id"], "direction": "ingress"}
    assert cloud.bob.refused("security_group_rule", **rule)[0] == 403
    answer = cloud.bob.call("DELETE", f"security-groups/{group['id']}")
    assert refusal(answer)[0] == 403
    port = cloud.bob.make("port", **asked)
    assert port["security_groups"] == [group["id"]]
    assert unshare(cloud.alice, policy)[1] == "RbacPolicyInUse"  # type: ignore[index]
    other = cloud.admin.refused("rbac_policy", policy["id"], target_tenant="p3")
    assert other[1] == "RbacPolicyInUse"
    wide = share(cloud.admin, "security_group", group, "*")
    assert unshare(cloud.alice, policy) == 204
    assert unshare(cloud.admin, wide)[1] == "RbacPolicyInUse"  # type: ignore[index]
    cloud.bob.change("port", port["id"], security_groups=[])
    mine = cloud.bob.make("security_group", name="mine")
    refers = {"security_group_id": mine["id"], "direction": "ingress"}
    made = cloud.bob.make("security_group_rule", **refers, remote_group_id=group["id"])
    assert unshare(cloud.admin, wide)[1] == "RbacPolicyInUse"  # type: ignore[index]
    cloud.bob.call("DELETE", f"security-group-rules/{made['id']}")
    assert unshare(cloud.admin, wide) == 204
    assert refusal(cloud.bob.call("GET", f"security-groups/{group['id']}"))[0] == 404


def test_what_others_do_with_a_shared_group_is_counted_and_not_named(groups: Cloud) -> None:
    """An owner reads the ids of its own objects alone, and takes nobody's rules along."""
    cloud = groups
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    group = cloud.alice.make("security_group", name="web")
    share(cloud.alice, "security_group", group)
    asked = {"network_id": network["id"], "security_groups": [group["id"]]}
    theirs, own = cloud.bob.make("port", **asked), cloud.alice.make("port", **asked)
    path = f"security-groups/{group['id']}"
    put = {"security_group": {"stateful": False}}
    for method, body in (("DELETE", None), ("PUT", put)):
        status, kind, message = refusal(cloud.alice.call(method, path, body))
        assert (status, kind) == (409, "SecurityGroupInUse")
        assert f"{own['id']}, 1 of other projects" in message
        assert theirs["id"] not in message
        assert theirs["id"] in refusal(cloud.admin.call(method, path, body))[2]
    for user, port in ((cloud.bob, theirs), (cloud.alice, own)):
        user.call("DELETE", f"ports/{port['id']}")
    rules = []
    for user in (cloud.alice, cloud.bob):
        refers = {"direction": "ingress", "remote_group_id": group["id"]}
        mine = user.make("security_group", name="mine")
        rules.append(user.make("security_group_rule", security_group_id=mine["id"], **refers))
    status, kind, message = refusal(cloud.alice.call("DELETE", path))
    assert (status, kind) == (409, "SecurityGroupInUse")
    assert "rules whose remote group it is: 1 of other projects" in message
    assert rules[1]["id"] in refusal(cloud.admin.call("DELETE", path))[2]
    cloud.bob.call("DELETE", f"security-group-rules/{rules[1]['id']}")
    assert cloud.alice.call("DELETE", path).status_code == 204
    assert refusal(cloud.alice.call("GET", f"security-group-rules/{rules[0]['id']}"))[0] == 404


def test_the_owner_of_a_network_reads_no_ids_of_others_ports(cloud: Cloud) -> None:
    """The operator put another project's port there."""
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    given = {"network_id": network["id"], "project_id": "p2", "mac_address": "02:00:00:00:00:01"}
    port = cloud.admin.make("port", **given)
    for answer in (
        cloud.alice.call("DELETE", f"networks/{network['id']}"),
        cloud.alice.call(
            "POST", "rbac-policies", {"rbac_policy": _policy("network", network, "p2")}
        ),
    ):
        status, _, message = refusal(answer)
        assert (status, "other" in message, port["id"] in message) == (409, True, False)


def test_an_address_group_is_referred_to_and_not_changed(groups: Cloud) -> None:
    cloud = groups
    addresses = cloud.alice.make("address_group", addresses=["192.0.2.0/24"])
    group = cloud.bob.make("security_group", name="web")
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "remote_address_group_id": addresses["id"],
    }
    assert cloud.bob.refused("security_group_rule", **rule)[1] == "AddressGroupNotFound"
    policy = share(cloud.alice, "address_group", addresses)
    seen = cloud.bob.get(f"address-groups/{addresses['id']}")["address_group"]
    assert (seen["shared"], seen["addresses"]) == (True, ["192.0.2.0/24"])
    assert cloud.bob.get("address-groups")["address_groups"] == [seen]
    for verb in ("add_addresses", "remove_addresses"):
        where = f"address-groups/{addresses['id']}/{verb}"
        answer = cloud.bob.call("PUT", where, {"addresses": ["192.0.2.0/24"]})
        assert refusal(answer)[0] == 403
    assert cloud.bob.make("security_group_rule", **rule)
    assert unshare(cloud.alice, policy)[1] == "RbacPolicyInUse"  # type: ignore[index]
    cloud.bob.call("DELETE", f"security-groups/{group['id']}")
    assert unshare(cloud.alice, policy) == 204


def test_what_the_operator_shares_with_all_the_owner_does_not_take_back(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    cloud.admin.change("network", network["id"], shared=True)
    (policy,) = cloud.alice.get("rbac-policies")["rbac_policies"]
    assert unshare(cloud.alice, policy)[0] == 403  # type: ignore[index]
    assert cloud.alice.refused("rbac_policy", policy["id"], target_tenant="p2")[0] == 403
    assert unshare(cloud.admin, policy) == 204


def test_a_network_that_its_owner_shares_with_itself_is_its_own(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    policy = share(cloud.alice, "network", network, "p1")
    mac = {"mac_address": "02:00:00:00:00:01"}
    port = cloud.alice.make("port", network_id=network["id"], **mac)
    assert cloud.alice.get(f"networks/{network['id']}")["network"]["shared"] is True
    assert cloud.alice.change("network", network["id"], name="x")["name"] == "x"
    assert unshare(cloud.alice, policy) == 204
    assert cloud.alice.get(f"ports/{port['id']}")["port"]["mac_address"] == mac["mac_address"]


def test_who_shares_what(groups: Cloud) -> None:
    cloud = groups
    mine = cloud.alice.make("security_group", name="web")
    status, kind, message = refused(cloud.alice, "security_group", mine, target_tenant="*")
    assert (status, kind) == (403, "PolicyNotAuthorized")
    assert "target_tenant" in message
    assert refused(cloud.bob, "security_group", mine)[:2] == (404, "SecurityGroupNotFound")
    share(cloud.alice, "security_group", mine)
    status, kind, message = refused(cloud.bob, "security_group", mine, target_tenant="p3")
    assert (status, kind) == (400, "InvalidInput")
    assert "do not own" in message
    assert cloud.bob.get("rbac-policies") == {"rbac_policies": []}
    (policy,) = cloud.rita.get("rbac-policies")["rbac_policies"]
    for answer in (
        cloud.bob.call("GET", f"rbac-policies/{policy['id']}"),
        cloud.bob.call("PUT", f"rbac-policies/{policy['id']}", {"rbac_policy": {}}),
        cloud.bob.call("DELETE", f"rbac-policies/{policy['id']}"),
    ):
        assert refusal(answer)[:2] == (404, "RbacPolicyNotFound")
    assert cloud.alice.refused("rbac_policy", policy["id"], target_tenant="*")[0] == 403
    changed = cloud.alice.change("rbac_policy", policy["id"], target_tenant="p3")
    assert changed["target_tenant"] == "p3"
    assert cloud.alice.get(f"rbac-policies/{policy['id']}")["rbac_policy"] == changed


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"object_type": "qos_policy"}, "InvalidInput"),
        ({"object_type": 7}, "InvalidInput"),
        ({"action": "access_as_external"}, "InvalidActionForType"),
        ({"action": "access_as_everything"}, "InvalidActionForType"),
        ({"target_tenant": "**"}, "InvalidInput"),
        ({"target_tenant": None}, "InvalidInput"),
        ({"target_project": "p3"}, "HTTPBadRequest"),
        ({"object_id": "x"}, "HTTPBadRequest"),
        ({"name": "x"}, "HTTPBadRequest"),
    ],
)
def test_what_is_no_policy(cloud: Cloud, fields: dict[str, Any], kind: str) -> None:
    network = cloud.admin.make("network")
    before = cloud.rows()
    status, found, _ = refused(cloud.admin, "network", network, **fields)
    assert (status, found) == (400, kind)
    assert cloud.rows() == before


def test_a_policy_needs_a_target_and_an_object(cloud: Cloud) -> None:
    network = cloud.admin.make("network")
    body = _policy("network", network, "p2")
    del body["target_tenant"]
    answer = cloud.admin.call("POST", "rbac-policies", {"rbac_policy": body})
    assert "target_tenant" in refusal(answer)[2]
    assert refused(cloud.admin, "network", {"id": NOBODY})[:2] == (404, "NetworkNotFound")
