"""What is said to be spoken is spoken, and what is not is refused as Neutron refuses it."""

import time
from typing import Any

import pytest
from tests.api.cloud import Cloud, User, refusal

from vifguard.feed.messages import Report

EVIDENCE: dict[str, tuple[str, ...]] = {
    "address-group": ("/v2.0/address-groups", "/v2.0/address-groups/{group_id}/add_addresses"),
    "agent": ("/v2.0/agents", "agent.heartbeat_timestamp"),
    "allowed-address-pairs": ("port.allowed_address_pairs",),
    "binding": ("port.binding:host_id", "port.binding:vnic_type", "port.binding:vif_details"),
    "default-subnetpools": ("subnetpool.is_default", "subnet<use_default_subnetpool"),
    "drops": ("/v2.0/drops", "/v2.0/ports/{port_id}/drops"),
    "empty-string-filtering": ("network?name=",),
    "extra_dhcp_opt": ("port.extra_dhcp_opts",),
    "port-mac-address-regenerate": ("port.mac_address",),
    "quota-check-limit-default": ("/v2.0/quotas/{project_id}",),
    "filter-validation": ("!network?nonsense=1",),
    "guards": ("network.guards", "port.guard_profile", "port.roles"),
    "hosts": ("/v2.0/hosts",),
    "ip-groups": ("/v2.0/ip-groups",),
    "ip-substring-filtering": ("port?fixed_ips=ip_address_substr=10",),
    "learned-addresses": (
        "network.learned_limits",
        "port.learned_addresses",
        "/v2.0/ports/{port_id}/learned-addresses/{address}",
    ),
    "net-mtu": ("network.mtu",),
    "net-mtu-writable": ("network<mtu",),
    "network-ip-availability": ("/v2.0/network-ip-availabilities",),
    "pagination": ("network?limit=1",),
    "port-security": ("port.port_security_enabled", "network.port_security_enabled"),
    "port-security-groups-filtering": ("port?security_groups=x",),
    "port-wait": ("/v2.0/ports/{port_id}/wait",),
    "project-id": ("network.project_id", "network.tenant_id"),
    "provider": ("network.provider:network_type", "network.provider:segmentation_id"),
    "quota-check-limit": ("/v2.0/quotas/{project_id}",),
    "quota_details": ("/v2.0/quotas/{project_id}/details",),
    "quotas": ("/v2.0/quotas", "/v2.0/quotas/{project_id}/default"),
    "rbac-address-group": ("/v2.0/rbac-policies", "address_group.shared"),
    "rbac-policies": ("/v2.0/rbac-policies", "rbac_policy.target_tenant"),
    "rbac-security-groups": ("/v2.0/rbac-policies", "security_group.shared"),
    "rbac-subnetpool": ("/v2.0/rbac-policies", "subnetpool.shared"),
    "revision-if-match": ("network.revision_number",),
    "security-group": ("/v2.0/security-groups", "port.security_groups"),
    "security-groups-default-rules": ("/v2.0/default-security-group-rules",),
    "security-groups-normalized-cidr": ("security_group_rule.normalized_cidr",),
    "security-groups-remote-address-group": ("security_group_rule.remote_address_group_id",),
    "security-groups-rules-belongs-to-default-sg": ("security_group_rule.belongs_to_default_sg",),
    "sorting": ("network?sort_key=name&sort_dir=desc",),
    "standard-attr-description": ("network.description", "security_group_rule.description"),
    "standard-attr-revisions": ("port.revision_number", "subnetpool.revision_number"),
    "standard-attr-tag": ("network.tags", "/v2.0/ports/{object_id}/tags/{tag}", "port?tags-any=x"),
    "standard-attr-timestamp": ("network.created_at", "address_group.updated_at"),
    "stateful-security-group": ("security_group.stateful",),
    "subnet-service-types": ("subnet<service_types",),
    "subnet_allocation": ("/v2.0/subnetpools", "subnet.subnetpool_id", "subnet<prefixlen"),
    "tag-creation": ("+/v2.0/networks/{object_id}/tags",),
    "tag-ports-during-bulk-creation": ("port<tags",),
}
"""What each extension adds: a route, `+` one that takes a POST, an attribute that is shown (.)
or taken (<), or a query that is answered, or refused (!)."""


def listed(cloud: Cloud) -> set[str]:
    return {each["alias"] for each in cloud.alice.get("extensions")["extensions"]}


def test_every_extension_is_there(cloud: Cloud) -> None:
    cloud.has_host(groups=True)
    assert listed(cloud) == EVIDENCE.keys()
    document = cloud.http.get("/openapi.json").json()
    for alias, evidence in EVIDENCE.items():
        for each in evidence:
            assert is_there(cloud, document, each), (alias, each)


def is_there(cloud: Cloud, document: dict[str, Any], what: str) -> bool:
    if what.startswith("/"):
        return what in document["paths"]
    if what.startswith("+"):
        return "post" in document["paths"][what[1:]]
    if "?" in what:
        one, _, query = what.lstrip("!").partition("?")
        answer = cloud.admin.call("GET", f"{one}s?{query}")
        return answer.status_code == (400 if what.startswith("!") else 200)
    one, dot, name = what.partition("." if "." in what else "<")
    if dot == ".":
        return name in document["components"]["schemas"][one]["properties"]
    post = document["paths"][f"/v2.0/{one}s"]["post"]["requestBody"]
    single = post["content"]["application/json"]["schema"]["oneOf"][0]
    return name in single["properties"][one]["properties"]


@pytest.mark.parametrize(
    "path",
    [
        "routers",
        "floatingips",
        "qos/policies",
        "trunks",
        "segments",
        "address-scopes",
        "metering/metering-labels",
        "vpn/ikepolicies",
        "lbaas/loadbalancers",
        "network-segment-ranges",
        "log/logs",
        "flavors",
        "service-providers",
    ],
)
def test_what_is_not_offered_is_not_found(cloud: Cloud, path: str) -> None:
    for method, body in (("GET", None), ("POST", {})):
        answer = cloud.admin.call(method, path, body)
        assert refusal(answer)[:2] == (404, "HTTPNotFound")
    assert refusal(cloud.admin.call("GET", f"extensions/{path}"))[0] == 404


def test_what_clients_say_beside_is_kept_and_shown(cloud: Cloud) -> None:
    network = cloud.admin.make(
        "network", shared=True, dns_domain="example.org.", availability_zone_hints=["nova"]
    )
    assert network["dns_domain"] == "example.org."
    assert network["availability_zone_hints"] == ["nova"]
    assert cloud.admin.change("network", network["id"], dns_domain="")["dns_domain"] == ""
    options = [
        {"opt_name": "tftp-server", "opt_value": "10.0.0.9"},
        {"opt_name": "bootfile-name", "opt_value": "x", "ip_version": 6},
        {"opt_name": "router", "opt_value": ""},
    ]
    port = cloud.alice.make(
        "port", network_id=network["id"], dns_name="web-1", extra_dhcp_opts=options
    )
    assert port["dns_name"] == "web-1"
    assert [each["ip_version"] for each in port["extra_dhcp_opts"]] == [4, 6, 4]
    change = [
        {"opt_name": "tftp-server", "opt_value": None},
        {"opt_name": "bootfile-name", "opt_value": "y", "ip_version": 6},
    ]
    revision = port["policy_revision"]
    port = cloud.alice.change("port", port["id"], extra_dhcp_opts=change, dns_domain="a.example.")
    assert port["extra_dhcp_opts"] == [
        {"opt_name": "bootfile-name", "opt_value": "y", "ip_version": 6},
        {"opt_name": "router", "opt_value": "", "ip_version": 4},
    ]
    # No host is told of any of this, and so no port waits for one.
    assert port["policy_revision"] == revision


@pytest.mark.parametrize(
    "fields",
    [
        {"dns_name": "a b"},
        {"dns_name": "-a"},
        {"dns_name": "a..b"},
        {"dns_name": "ä"},
        {"dns_domain": "x" * 64},
        {"extra_dhcp_opts": [{"opt_name": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": f"x{n}", "opt_value": "y"} for n in range(65)]},
        {"extra_dhcp_opts": [{"opt_name": "", "opt_value": "x"}]},
        {"extra_dhcp_opts": [{"opt_name": "x", "opt_value": ""}]},
        {"extra_dhcp_opts": [{"opt_name": "x", "opt_value": "y\n"}]},
        {"extra_dhcp_opts": [{"opt_name": "x", "opt_value": "y", "ip_version": 5}]},
        {"qos_policy_id": "11111111-1111-1111-1111-111111111111"},
    ],
)
def test_what_is_refused_of_it(cloud: Cloud, fields: dict[str, Any]) -> None:
    network = cloud.admin.make("network", shared=True)
    before = cloud.rows()
    status, _, message = cloud.alice.refused("port", network_id=network["id"], **fields)
    assert status == 400
    assert next(iter(fields)) in message
    assert cloud.rows() == before


def test_external_is_a_word_of_the_operators(cloud: Cloud) -> None:
    made = cloud.admin.make("network", shared=True, **{"router:external": True})
    assert made["router:external"] is True
    found = cloud.alice.get("networks", **{"router:external": "true"})["networks"]
    assert [each["id"] for each in found] == [made["id"]]
    port = cloud.alice.make("port", network_id=made["id"])
    changed = cloud.admin.change("network", made["id"], **{"router:external": False})
    assert changed["router:external"] is False
    assert (
        cloud.alice.get(f"ports/{port['id']}")["port"]["policy_revision"]
        == (port["policy_revision"])
    )


def test_there_are_no_qos_policies_and_it_is_said(cloud: Cloud) -> None:
    network = cloud.admin.make("network", qos_policy_id=None)
    assert "qos_policy_id" not in network
    policy = {"qos_policy_id": "11111111-1111-1111-1111-111111111111"}
    assert "not supported" in cloud.admin.refused("network", network["id"], **policy)[2]


def test_agents_are_our_hosts(cloud: Cloud) -> None:
    cloud.has_host("h1")
    cloud.has_host("h2", isolation=False)
    first, second = cloud.admin.get("agents")["agents"]
    assert (first["host"], first["alive"], first["binary"]) == ("h1", True, "vifguard")
    assert second["configurations"]["isolation"] is False
    assert cloud.admin.get(f"agents/{first['id']}")["agent"] == first
    assert cloud.admin.get("agents", host="h2")["agents"] == [second]
    assert refusal(cloud.admin.call("GET", "agents/x"))[:2] == (404, "AgentNotFound")
    assert cloud.admin.refused("agent", first["id"], admin_state_up=False)[0] == 405
    assert cloud.alice.get("agents") == {"agents": []}


def test_what_can_be_had_is_said_before_it_is_refused(cloud: Cloud) -> None:
    def offered(user: User = cloud.rita) -> dict[str, Any]:
        said: dict[str, Any] = user.get("vifguard/capabilities")["capabilities"]
        return said

    none = offered()
    assert "no host has reported" in none["project_networks"]["reason"]
    assert none["security_groups"]["offered"] is False
    cloud.has_host("h1", groups=True)
    assert {offered()[name]["offered"] for name in ("project_networks", "security_groups")} == {
        True
    }
    cloud.has_host("h2", isolation=False)
    assert offered()["project_networks"] == {"offered": True, "reason": ""}
    cloud.has_host("h1", isolation=False)
    why = "no living host can keep networks apart"
    assert offered()["project_networks"]["reason"] == why
    assert why in cloud.alice.refused("network", name="x")[2]
    assert "h1, h2" in offered(cloud.admin)["project_networks"]["reason"]


def test_what_a_silent_host_could_hold_cannot_be_had(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project's network was made, and `offered` said yes, while the only agent was dead."""
    cloud.has_host("h1", groups=True)
    cloud.alice.make("network", name="before")
    beats = cloud.store.heartbeats
    monkeypatch.setattr(beats, "_monotonic", lambda: time.monotonic() + 11)
    why = "no living host can keep networks apart"
    assert why in cloud.alice.refused("network", name="after")[2]
    said = cloud.alice.get("vifguard/capabilities")["capabilities"]
    assert said["project_networks"] == {"offered": False, "reason": why}
    assert said["security_groups"]["offered"] is False
    said = cloud.admin.get("vifguard/capabilities")["capabilities"]
    silent = "host h1 can keep networks apart, but is silent"
    assert said["project_networks"]["reason"] == silent
    cloud.store.record_report(Report("h1", read_back=True))
    cloud.alice.make("network", name="after")


def test_versions(cloud: Cloud) -> None:
    for path in ("/", "/v2.0", "/v2.0/"):
        (version,) = cloud.http.get(path).json()["versions"]
        assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
        assert version["links"][0]["href"].endswith("/v2.0/")
    resources = cloud.http.get("/v2.0/").json()["resources"]
    found = {each["collection"]: each["links"][0]["href"] for each in resources}
    assert found["security-groups"].endswith("/v2.0/security-groups")
    for collection in found:
        assert cloud.admin.call("GET", collection).status_code == 200
