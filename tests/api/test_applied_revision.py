"""How far a host has come: a rule reaches no port of its own, and can be waited for."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.api.cloud import Cloud

from vifguard.feed.messages import PortReport, Report
from vifguard.model.port import PortState


@pytest.fixture
def port(cloud: Cloud) -> dict[str, Any]:
    """A port with one group, enforced with the rules the group had."""
    cloud.has_host("h1", groups=True)
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    made = cloud.alice.make("port", network_id=network["id"])
    enforced = PortReport(made["id"], made["policy_revision"], PortState.ENFORCED)
    cloud.store.record_report(Report("h1", ports=(enforced,), reached=made["policy_revision"]))
    return cloud.alice.get(f"ports/{made['id']}")["port"]


def add_rule(cloud: Cloud, port: dict[str, Any]) -> int:
    """The revision at which the port's group says more."""
    cloud.alice.make(
        "security_group_rule", security_group_id=port["security_groups"][0], direction="ingress"
    )
    return cloud.alice.get(f"ports/{port['id']}")["port"]["policy_revision"]


def test_a_rule_is_wanted_of_the_ports_of_its_group(cloud: Cloud, port: dict[str, Any]) -> None:
    assert port["enforced_revision"] >= port["policy_revision"]
    wanted = add_rule(cloud, port)
    after = cloud.alice.get(f"ports/{port['id']}")["port"]
    assert wanted > port["policy_revision"]
    assert after["enforced_revision"] == port["enforced_revision"]
    assert after["status"] == "ACTIVE"
    cloud.store.record_report(Report("h1", reached=wanted))
    assert cloud.alice.get(f"ports/{port['id']}")["port"]["enforced_revision"] == wanted


def test_it_is_waited_for(cloud: Cloud, port: dict[str, Any]) -> None:
    wanted = add_rule(cloud, port)
    late = cloud.alice.call("GET", f"ports/{port['id']}/wait", params={"timeout": 0})
    assert late.status_code == 408
    reported = threading.Timer(0.2, cloud.store.record_report, [Report("h1", reached=wanted)])
    reported.start()
    answer = cloud.alice.get(f"ports/{port['id']}/wait", timeout=30)
    assert answer["port"]["enforced_revision"] == wanted


def test_what_another_host_reached_says_nothing(cloud: Cloud, port: dict[str, Any]) -> None:
    cloud.has_host("h2", groups=True)
    wanted = add_rule(cloud, port)
    cloud.store.record_report(Report("h2", reached=wanted))
    assert cloud.alice.get(f"ports/{port['id']}")["port"]["enforced_revision"] < wanted


def test_a_closed_port_has_reached_nothing(cloud: Cloud, port: dict[str, Any]) -> None:
    wanted = add_rule(cloud, port)
    closed = PortReport(port["id"], port["policy_revision"], PortState.HELD_CLOSED, "", "too many")
    cloud.store.record_report(Report("h1", ports=(closed,), reached=wanted))
    after = cloud.admin.get(f"ports/{port['id']}")["port"]
    assert (after["enforced_revision"], after["status_reason"]) == (0, "too many")
