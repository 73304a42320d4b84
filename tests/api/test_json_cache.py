"""A list of ports is mostly remembered; it always shows what each port shows by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.api.cloud import Cloud, User

from vifguard.api.schema.json_cache import JsonCache
from vifguard.feed.messages import PortReport, Report
from vifguard.model.port import PortState

Port = dict[str, Any]
Step = Callable[[Cloud, Port], object]


def report(cloud: Cloud, port: Port, **fields: Any) -> None:
    now = cloud.admin.get(f"ports/{port['id']}")["port"]
    said = {"revision": now["policy_revision"], "state": PortState.ENFORCED} | fields
    cloud.store.record_report(Report("h1", ports=(PortReport(port["id"], **said),)))


def add_rule(cloud: Cloud, port: Port) -> None:
    group_id = port["security_groups"][0]
    cloud.alice.make("security_group_rule", security_group_id=group_id, direction="ingress")


def add_tag(cloud: Cloud, port: Port) -> None:
    assert cloud.alice.call("PUT", f"ports/{port['id']}/tags/red").status_code == 201


def another_group(cloud: Cloud, port: Port) -> None:
    group = cloud.alice.make("security_group", name="another")
    cloud.alice.change("port", port["id"], security_groups=[group["id"]])


STEPS: dict[str, Step] = {
    "nothing": lambda _cloud, _port: None,
    "a name": lambda cloud, port: cloud.alice.change("port", port["id"], name="x"),
    "addresses": lambda cloud, port: cloud.admin.change(
        "port", port["id"], fixed_ips=[{"ip_address": "10.0.0.77"}]
    ),
    "pairs": lambda cloud, port: cloud.admin.change(
        "port", port["id"], allowed_address_pairs=[{"ip_address": "10.9.0.0/16"}]
    ),
    "other pairs": lambda cloud, port: cloud.admin.change(
        "port", port["id"], allowed_address_pairs=[{"ip_address": "10.8.0.0/16"}]
    ),
    "down": lambda cloud, port: cloud.alice.change("port", port["id"], admin_state_up=False),
    "groups": another_group,
    "a tag": add_tag,
    "a rule": add_rule,
    "enforced": report,
    "closed": lambda cloud, port: report(
        cloud, port, state=PortState.HELD_CLOSED, reason="the interface is gone"
    ),
    "closed for another reason": lambda cloud, port: report(
        cloud, port, state=PortState.HELD_CLOSED, reason="no room"
    ),
    "behind": lambda cloud, port: report(cloud, port, revision=1),
    "reached": lambda cloud, _port: cloud.store.record_report(
        Report("h1", reached=cloud.revision())
    ),
    "the network is down": lambda cloud, port: cloud.admin.change(
        "network", port["network_id"], admin_state_up=False
    ),
    "the network's guards": lambda cloud, port: cloud.admin.change(
        "network", port["network_id"], guard_profile="mac"
    ),
    "another host": lambda cloud, port: cloud.admin.change(
        "port", port["id"], **{"binding:host_id": "h2"}
    ),
    "gone": lambda cloud, port: cloud.alice.call("DELETE", f"ports/{port['id']}"),
}


def assert_shown_alike(user: User) -> None:
    """However a list is asked for, it is made of what each port shows by itself."""
    whole = user.get("ports")["ports"]
    assert whole == [user.get(f"ports/{each['id']}")["port"] for each in whole]
    assert user.get("ports", limit=100)["ports"] == whole
    assert user.get("ports", sort_key="created_at")["ports"] == whole
    short = user.get("ports", fields=["id", "status"])["ports"]
    assert short == [{"id": each["id"], "status": each["status"]} for each in whole]


@pytest.mark.parametrize("name", STEPS)
def test_a_list_shows_what_each_port_shows(cloud: Cloud, name: str) -> None:
    for host in ("h1", "h2"):
        cloud.has_host(host, groups=True)
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    made = [
        cloud.alice.make("port", network_id=network["id"], name=each) for each in ("a", "b", "c")
    ]
    for each in made:
        cloud.admin.change("port", each["id"], **{"binding:host_id": "h1"})
        report(cloud, each)
    users = cloud.admin, cloud.alice
    for user in users:
        assert_shown_alike(user)  # and remembers
    STEPS[name](cloud, made[1])
    for user in users:
        assert_shown_alike(user)


def test_what_a_tenant_does_not_see_is_not_in_what_is_remembered(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    cloud.alice.make("port", network_id=network["id"])
    for _ in range(2):
        assert "binding:host_id" in cloud.admin.get("ports")["ports"][0]
        assert "binding:host_id" not in cloud.alice.get("ports")["ports"][0]


def test_numbers_of_any_size_stay_what_they_are(cloud: Cloud) -> None:
    cloud.has_host()
    profile = {"big": 2**70, "small": -(2**70)}
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    made = cloud.admin.make("port", network_id=network["id"], **{"binding:profile": profile})
    for query in ({}, {"sort_key": "name"}, {"fields": "binding:profile"}):
        for _ in range(2):
            assert cloud.admin.get("ports", **query)["ports"][0]["binding:profile"] == profile
    assert cloud.admin.get(f"ports/{made['id']}")["port"]["binding:profile"] == profile


def test_who_asks_for_more_than_is_kept_in_turn_finds_some_of_it() -> None:
    many, kept = 1000, 500
    made: list[str] = []

    def make(ids: Any) -> dict[str, dict[str, str]]:
        made.extend(ids)
        return {each: {"id": each} for each in ids}

    wanted = dict.fromkeys((f"{n:04}" for n in range(many)), 1)
    remembered = JsonCache(most=kept * len(b'{"id":"0000"}'))
    for _ in range(5):
        made.clear()
        for ident in wanted:
            assert remembered.rendered("", {ident: 1}, make)
    assert len(made) < many * 0.95


def test_it_forgets_before_it_grows_too_large() -> None:
    asked: list[str] = []

    def make(ids: Any) -> dict[str, dict[str, str]]:
        asked.extend(ids)
        return {each: {"id": each} for each in ids}

    remembered = JsonCache(most=3 * len(b'{"id":"a"}'))
    every = [f'{{"id":"{each}"}}'.encode() for each in "abcd"]
    for _ in range(3):
        assert list(remembered.rendered("", dict.fromkeys("abcd", 1), make).values()) == every
    assert len(asked) > 4
    assert remembered.rendered("", {"d": 1}, make) == {"d": every[3]}
    asked.clear()
    assert remembered.rendered("", {"d": 1}, make) == {"d": every[3]}
    assert asked == []
