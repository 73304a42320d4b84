"""What a project is told: of no host, of no interface, of no other project, in no answer."""

import time
from typing import Any

import pytest
from tests.api.cloud import Cloud

from vifguard.model.port import PortState

HOST, OTHER, DEVICE = "zebra", "yak", "eth77"


@pytest.fixture
def port(cloud: Cloud) -> dict[str, Any]:
    """A port of a project on a shared network, on the only host."""
    cloud.has_host(HOST)
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    return cloud.alice.make("port", network_id=network["id"])


def why(cloud: Cloud, user: str, port: dict[str, Any]) -> str:
    """The reason as each way to ask tells it, which is the same."""
    asking = getattr(cloud, user)
    where = f"ports/{port['id']}"
    shown = asking.get(where)["port"]
    (listed,) = (each for each in asking.get("ports")["ports"] if each["id"] == port["id"])
    waited = asking.call("GET", f"{where}/wait", params={"timeout": "0"})
    assert shown["status_reason"] == listed["status_reason"]
    if waited.status_code == 408:
        assert shown["status_reason"] in waited.text
    assert f"{shown}{listed}{waited.text}".count("zebra") == 0 or user != "alice"
    reason: str = shown["status_reason"]
    return reason


@pytest.mark.parametrize("state", list(PortState))
def test_what_a_host_says_is_the_operators_and_a_project_reads_what_it_means(
    cloud: Cloud, port: dict[str, Any], state: PortState
) -> None:
    assert why(cloud, "admin", port) == f"host {HOST} has not reported the port yet"
    assert why(cloud, "alice", port) == "its host has not reported the port yet"
    said = f"uplink {DEVICE} of {HOST} is a member of br9"
    cloud.enforces(port, HOST, state=state, reason=said)
    assert why(cloud, "admin", port) == said
    assert why(cloud, "nova", port) == said
    assert "the operator" in why(cloud, "alice", port)
    assert DEVICE not in why(cloud, "alice", port)


def test_a_silent_host_has_no_name_either(
    cloud: Cloud, port: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.enforces(port, HOST)
    assert why(cloud, "alice", port) == ""
    monkeypatch.setattr(cloud.store.heartbeats, "_monotonic", lambda: time.monotonic() + 11)
    assert why(cloud, "alice", port).startswith("its host is silent: ")


def test_ports_of_one_silent_host_are_told_as_those_of_another(
    cloud: Cloud, port: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of its last heartbeat told which ports share a host."""
    cloud.enforces(port, HOST)
    monkeypatch.setattr(cloud.store.heartbeats, "_clock", lambda: time.time() - 60)
    cloud.has_host(OTHER)
    other = cloud.alice.make("port", network_id=port["network_id"])
    cloud.admin.change("port", other["id"], **{"binding:host_id": OTHER})
    monkeypatch.setattr(cloud.store.heartbeats, "_monotonic", lambda: time.monotonic() + 11)
    both = {
        user: {why(cloud, user, each).removeprefix("host ").split()[0] for each in (port, other)}
        for user in ("alice", "admin")
    }
    assert both == {"alice": {"its"}, "admin": {HOST, OTHER}}
    assert len({why(cloud, "alice", each) for each in (port, other)}) == 1


def test_a_port_that_is_behind_names_no_host(cloud: Cloud, port: dict[str, Any]) -> None:
    cloud.enforces(port, HOST)
    cloud.admin.change("port", port["id"], guard_profile="mac")
    assert "its host holds revision" in why(cloud, "alice", port)
    assert f"host {HOST} holds revision" in why(cloud, "admin", port)


def test_why_something_is_not_offered_names_no_host(cloud: Cloud) -> None:
    cloud.has_host(HOST, isolation=False)
    for user, names in ((cloud.admin, True), (cloud.alice, False), (cloud.rita, False)):
        told = user.call("GET", "vifguard/capabilities").text
        assert "keep networks apart" in told
        assert (HOST in told) is names
    status, _, message = cloud.alice.refused("network")
    assert (status, HOST in message) == (403, False)
    assert "no living host can keep networks apart" in message


def test_where_a_network_is_kept_is_told_without_its_host(cloud: Cloud) -> None:
    cloud.has_host(HOST)
    network = cloud.alice.network("10.0.0.0/24")
    cloud.alice.make("port", network_id=network["id"])
    cloud.has_host(OTHER)
    assert cloud.admin.call("DELETE", f"hosts/{HOST}", params={"force": "true"}).status_code < 500
    body = {"network_id": network["id"], "binding:host_id": OTHER, "project_id": "p1"}
    assert HOST in cloud.admin.refused("port", **body)[2]


def test_what_keeps_a_network_shared_names_no_project_that_its_owner_did_not(cloud: Cloud) -> None:
    cloud.has_host(HOST)
    network = cloud.alice.network("10.0.0.0/24")
    shared = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2"}
    policy = cloud.alice.make("rbac_policy", action="access_as_shared", **shared)
    cloud.admin.make("port", network_id=network["id"], project_id="p9")
    where = f"rbac-policies/{policy['id']}"
    assert "p9" in cloud.admin.call("DELETE", where).text
    told = cloud.alice.call("DELETE", where)
    assert (told.status_code, "p9" in told.text) == (409, False)
    assert "Other projects" in told.text
    cloud.bob.make("port", network_id=network["id"])
    told = cloud.alice.call("DELETE", where)
    assert ("p2" in told.text, "p9" in told.text) == (True, False)


def test_what_makes_a_network_no_projects_own_again_names_neither_host_nor_uplink(
    cloud: Cloud,
) -> None:
    cloud.has_host(HOST)
    cloud.has_host(OTHER)
    network = cloud.alice.network("10.0.0.0/24")
    shared = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2"}
    policy = cloud.alice.make("rbac_policy", action="access_as_shared", **shared)
    for host in (HOST, OTHER):
        port = cloud.alice.make("port", network_id=network["id"])
        cloud.admin.change("port", port["id"], **{"binding:host_id": host})
    where = f"rbac-policies/{policy['id']}"
    assert HOST in cloud.admin.call("DELETE", where).text
    told = cloud.alice.call("DELETE", where)
    assert (told.status_code, HOST in told.text, OTHER in told.text) == (409, False, False)


def test_an_address_pair_of_another_project_is_told_without_its_port(cloud: Cloud) -> None:
    cloud.has_host(HOST)
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    theirs = cloud.bob.make("port", network_id=network["id"])
    narrow = [{"ip_address": "10.0.0.200"}]
    cloud.admin.change("port", theirs["id"], allowed_address_pairs=narrow)
    mine = cloud.alice.make("port", network_id=network["id"])
    wide = {"allowed_address_pairs": [{"ip_address": "10.0.0.192/28"}]}
    status, _, message = cloud.admin.refused("port", mine["id"], **wide)
    assert (status, theirs["id"] in message) == (409, False)


@pytest.mark.parametrize("name", ["binding:host_id", "binding:profile", "status_reason"])
def test_a_list_is_not_narrowed_by_what_is_not_told(
    cloud: Cloud, port: dict[str, Any], name: str
) -> None:
    assert port
    told = {
        value: cloud.alice.call("GET", "ports", params={name: value}).text.count(port["id"])
        for value in (HOST, OTHER, f"host {HOST} has not reported the port yet")
    }
    assert len(set(told.values())) == 1, told
    ordered = cloud.alice.call("GET", "ports", params={"sort_key": name})
    assert HOST not in ordered.text


def test_whom_the_operator_shares_with_is_not_told_to_the_owner(cloud: Cloud) -> None:
    cloud.has_host(HOST)
    network = cloud.alice.network("10.0.0.0/24")
    shared = {"object_type": "network", "object_id": network["id"], "target_tenant": "p9"}
    cloud.admin.make("rbac_policy", action="access_as_shared", **shared)
    status, _, message = cloud.alice.refused("network", network["id"], mtu=1400)
    assert (status, "p9" in message) == (403, False)
    assert "by the operator" in message
