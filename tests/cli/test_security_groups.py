"""Security groups as a person and a program use them, against a server with a host of its own."""

from collections.abc import Iterator
from typing import Any

import pytest
from command import Service, Shell, started

from vifguard.client.client import Client
from vifguard.client.feed import HttpFeed
from vifguard.feed.messages import HostReport, Report


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server to which a host reported that it can hold security groups."""
    directory = tmp_path_factory.mktemp("groups")
    listen = f"unix:{directory}/api.sock"
    with started("serve", "--listen", listen, data_dir=directory / "data") as service:
        with Client.from_data_dir(service.data_dir) as client:
            features = frozenset({"groups"})
            about = HostReport("6.1", "ebpf", features, (), (), isolation=True)
            HttpFeed(client, "h1").report(Report("h1", about=about))
        yield service


@pytest.fixture(scope="module")
def groups(served: Service) -> Shell:
    shell = served.shell()
    shell("network", "create", "lan", "--shared")
    shell("subnet", "create", "lan4", "--network", "lan", "--cidr", "10.0.0.0/24")
    return shell


def test_a_group_is_made_changed_shown_listed_and_deleted(groups: Shell) -> None:
    made = groups.json("security-group", "create", "life", "--stateless", "--description", "x y")
    assert made["stateful"] is False
    changed = groups.json("security-group", "set", "life", "--name", "live", "--stateful")
    assert (changed["name"], changed["stateful"]) == ("live", True)
    assert groups.json("security-group", "show", "live")["id"] == made["id"]
    listed = groups("security-group", "list").out
    assert "live" in listed
    assert "default" in listed
    assert groups.json("security-group", "delete", "live") == {"deleted": [made["id"]]}
    assert groups("security-group", "show", "live", code=3).out == ""


def test_rules_are_added_listed_and_deleted(groups: Shell) -> None:
    groups("security-group", "create", "web")
    groups("address-group", "create", "office", "--address", "192.0.2.0/24")

    def add(*options: object) -> Any:
        return groups.json("security-group-rule", "create", "web", *options)

    web = add("--protocol", "tcp", "--port", 443, "--remote-prefix", "2001:db8::/32")
    assert (web["ethertype"], web["port_range_min"], web["port_range_max"]) == ("IPv6", 443, 443)
    ports = add("--direction", "egress", "--protocol", 17, "--port", "0-53")
    assert (ports["direction"], ports["port_range_min"], ports["port_range_max"]) == (
        "egress",
        0,
        53,
    )
    ping = add("--protocol", "icmp", "--icmp", "8", "--remote-group", "web")
    assert (ping["port_range_min"], ping["port_range_max"]) == (8, None)
    code = add("--protocol", "icmp", "--icmp", "3/0", "--remote-address-group", "office")
    assert (code["port_range_min"], code["port_range_max"]) == (3, 0)
    listed = groups("security-group-rule", "list", "--group", "web").out.splitlines()
    assert len(listed) == 1 + 2 + 4
    assert any(
        line.split()[:6] == ["web", "ingress", "IPv6", "tcp", "443", "2001:db8::/32"]
        for line in listed
    )
    assert any("type 3 code 0" in line and "office" in line for line in listed)
    assert groups.json("security-group-rule", "show", ping["id"]) == ping
    assert groups("security-group-rule", "create", "web", "--protocol", "tpc", code=1).err
    assert groups(
        "security-group-rule", "create", "web", "--protocol", "tcp", "--port", "80-", code=1
    ).err
    groups("security-group-rule", "delete", *(each["id"] for each in (web, ports, ping, code)))
    assert len(groups.json("security-group-rule", "list", "--group", "web")) == 2


def test_addresses_come_and_go(groups: Shell) -> None:
    groups("address-group", "create", "branch", "--address", "192.0.2.0/24")
    found = groups.json("address-group", "add", "branch", "198.51.100.7", "2001:db8::/32")
    assert found["addresses"] == ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]
    found = groups.json("address-group", "remove", "branch", "192.0.2.0/24")
    assert found["addresses"] == ["198.51.100.7/32", "2001:db8::/32"]
    assert "198.51.100.7/32" in groups("address-group", "list").out
    groups("address-group", "set", "branch", "--name", "branches")
    groups("address-group", "delete", "branches")


def test_the_rules_of_a_port_and_where_each_comes_from(groups: Shell) -> None:
    for name in ("front", "admin"):
        groups("security-group", "create", name)
    create = ("security-group-rule", "create")
    groups(*create, "front", "--protocol", "tcp", "--port", 80)
    groups(*create, "admin", "--protocol", "tcp", "--port", 22, "--remote-group", "admin")
    chosen = ("--security-group", "front", "--security-group", "admin")
    port = groups.json("port", "create", "www", "--network", "lan", *chosen)
    assert len(port["security_groups"]) == 2
    shown = groups("port", "rules", "www")
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["front", "ingress", "IPv4", "tcp", "80", "any"] in [row[:6] for row in rows]
    assert ["admin", "ingress", "IPv4", "tcp", "22", "admin"] in [row[:6] for row in rows]
    assert shown.err == ""
    found = groups.json("port", "rules", "www")
    assert {rule["security_group"] for rule in found} == {"front", "admin"}
    assert len(found) == 6
    groups("port", "set", "www", "--security-group", "none")
    none = groups("port", "rules", "www")
    assert "nothing passes" in none.err
    groups("port", "set", "www", "--security-group", "default")
    assert len(groups.json("port", "rules", "www")) == 4
    groups("port", "set", "www", "--security-group", "none", "--no-port-security")
    assert "do not filter" in groups("port", "rules", "www").err


def test_it_is_refused_with_the_reason_where_no_host_can_hold_it(vifguard: Shell) -> None:
    run = vifguard("security-group", "create", "web", code=4)
    assert "no host has reported" in run.err
