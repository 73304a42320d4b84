"""The `openstack` command, unchanged: the whole life of every resource."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from command import clean_environment, started
from host import host
from openstack_command import Openstack, openstack

from vifguard.client.client import Client
from vifguard.client.endpoint import read_data_dir
from vifguard.client.feed import HttpFeed
from vifguard.client.resource import SECURITY_GROUP_RULE, SUBNET
from vifguard.feed.messages import HostReport, Report

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a server with a host that can hold everything."""
    directory = tmp_path_factory.mktemp("openstack") / "data"
    with started("serve", "--listen", "127.0.0.1:0", data_dir=directory):
        report_host(directory)
        yield directory


@pytest.fixture(scope="module")
def osc(data_dir: Path) -> Iterator[Openstack]:
    with openstack(data_dir) as command:
        yield command


def report_host(data_dir: Path) -> None:
    """Report that the played host has read back its guards: it lives for ten seconds more."""
    able = HostReport("6.1", "ebpf", frozenset({"groups"}), (), ("x",), isolation=True)
    with Client(read_data_dir(data_dir)) as client:
        HttpFeed(client, "h1").report(Report("h1", about=able, read_back=True))


@pytest.mark.kernel
def test_as_in_the_readme(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("openstack")
    name = f"vgosc{os.getpid()}"
    with host(name, tmp_path) as machine, machine.started("up", "--listen", "127.0.0.1:0"):
        clouds = f"OS_CLIENT_CONFIG_FILE={machine.data_dir}/clouds.yaml"
        cloud = ("env", clouds, command, "--os-cloud", "vifguard")
        plain = ("-f", "value", "-c")
        made = machine.run(*cloud, "network", "create", "--share", "readme", *plain, "name")
        assert made.stdout == "readme\n"
        agents = machine.run(*cloud, "network", "agent", "list", *plain, "Host", *plain, "Alive")
        assert agents.stdout == f"{name} True\n"
        group = machine.run(*cloud, "security", "group", "create", "web", *plain, "stateful")
        assert group.stdout == "True\n"


def in_the_readme(after: str) -> str:
    """The lines of the first block of code behind a text."""
    behind = README.read_text().partition(after)[2]
    assert behind, f"README.md does not say {after!r}"
    block = re.search(r"(?:^    .*\n)+", behind, re.MULTILINE)
    assert block is not None
    return block[0]


def test_a_tenants_first_commands_are_as_in_the_readme(data_dir: Path, tmp_path: Path) -> None:
    tenant = in_the_readme("A tenant gets a user and a `clouds.yaml`")
    first = in_the_readme("### A tenant's first commands")
    assert first.count("openstack --os-cloud vifguard") == 5
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": programs, "VIFGUARD_DATA_DIR": str(data_dir), "HOME": str(tmp_path)}
    with subprocess.Popen(
        ["bash", "-e", "-c", f"{tenant}\n{first}"],
        cwd=tmp_path,
        env=clean_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = while_a_host_lives(data_dir, process)
    assert process.returncode == 0, said
    shown = said[0].splitlines()[-2]
    assert re.search(r"\| db +\| fa:16:3e:.*10\.20\.0\.", shown), said
    with Client(read_data_dir(data_dir)) as operator:
        (subnet,) = operator.list(SUBNET, name="back-4")
        (rule,) = operator.list(SECURITY_GROUP_RULE, port_range_min="22")
    assert (subnet["cidr"], subnet["project_id"]) == ("10.20.0.0/24", "shop")
    assert (rule["belongs_to_default_sg"], rule["project_id"]) == (True, "shop")


def while_a_host_lives(data_dir: Path, process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process says until its end; a project's networks need a host that reports."""
    while True:
        report_host(data_dir)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=3)


def test_what_there_is_none_of_is_an_empty_table(osc: Openstack) -> None:
    assert osc.json("availability", "zone", "list", "--network") == []


def test_a_network_and_its_subnets(osc: Openstack) -> None:
    made = osc.json("network", "create", "net", "--share", "--mtu", 1400, "--tag", "red")
    assert (made["shared"], made["mtu"], made["status"]) == (True, 1400, "ACTIVE")
    assert osc.json("network", "show", "net")["tags"] == ["red"]
    osc("network", "set", "net", "--description", "x y", "--disable", "--tag", "blue")
    assert [each["Name"] for each in osc.json("network", "list", "--tags", "red,blue")] == ["net"]
    osc("network", "unset", "net", "--tag", "red")
    subnet = osc.json(
        *("subnet", "create", "net-4", "--network", "net", "--subnet-range", "10.0.0.0/24"),
        *("--allocation-pool", "start=10.0.0.10,end=10.0.0.20", "--dns-nameserver", "10.0.0.3"),
        *("--host-route", "destination=10.9.0.0/16,gateway=10.0.0.9", "--service-type"),
        "compute:nova",
    )
    assert (subnet["gateway_ip"], subnet["service_types"]) == ("10.0.0.1", ["compute:nova"])
    osc("subnet", "set", "net-4", "--no-dhcp", "--name", "four", "--dns-nameserver", "10.0.0.4")
    shown = osc.json("subnet", "show", "four")
    assert (shown["enable_dhcp"], sorted(shown["dns_nameservers"])) == (
        False,
        ["10.0.0.3", "10.0.0.4"],
    )
    osc(
        *("subnet", "create", "six", "--network", "net", "--ip-version", 6),
        *("--subnet-range", "2001:db8::/64", "--ipv6-ra-mode", "slaac"),
        *("--ipv6-address-mode", "slaac"),
    )
    assert {each["Name"] for each in osc.json("subnet", "list", "--network", "net")} == {
        "four",
        "six",
    }
    left = osc.json("ip", "availability", "show", "net")
    assert left["used_ips"] == 0
    assert "net" in {each["Network Name"] for each in osc.json("ip", "availability", "list")}
    osc("subnet", "delete", "six")
    osc("network", "delete", "net")
    assert "No Network found" in osc("network", "show", "net", code=1).err


def test_a_port(osc: Openstack) -> None:
    osc("network", "create", "ports", "--share")
    osc("subnet", "create", "p4", "--network", "ports", "--subnet-range", "10.1.0.0/24")
    made = osc.json(
        *("port", "create", "web", "--network", "ports", "--fixed-ip", "ip-address=10.1.0.50"),
        *("--mac-address", "02:00:00:00:00:50", "--allowed-address", "ip-address=10.1.0.60"),
        *("--device", "vm-1", "--device-owner", "compute:nova", "--dns-name", "web"),
        *("--extra-dhcp-option", "name=tftp-server,value=10.1.0.9", "--tag", "red"),
        *("--binding-profile", "interface=tap7", "--description", "x"),
    )
    assert made["fixed_ips"][0]["ip_address"] == "10.1.0.50"
    assert made["tags"] == ["red"]
    assert len(made["security_group_ids"]) == 1
    assert made["binding_host_id"]
    found = osc.json("port", "list", "--fixed-ip", "ip-substring=1.0.5", "--tags", "red")
    assert [each["Name"] for each in found] == ["web"]
    osc("port", "set", "web", "--name", "www", "--no-allowed-address", "--disable")
    osc("port", "unset", "www", "--security-group", made["security_group_ids"][0])
    shown = osc.json("port", "show", "www")
    assert (shown["allowed_address_pairs"], shown["security_group_ids"]) == ([], [])
    assert (shown["dns_name"], shown["admin_state_up"]) == ("web", False)
    osc("port", "set", "www", "--disable-port-security")
    in_use = osc("network", "delete", "ports", code=1)
    assert "still in use" in in_use.err
    osc("port", "delete", "www")
    osc("network", "delete", "ports")


def test_security_groups_and_address_groups(osc: Openstack) -> None:
    osc("security", "group", "create", "web", "--stateful", "--tag", "red")
    osc("address", "group", "create", "office", "--address", "192.0.2.0/24")
    rule = osc.json(
        *("security", "group", "rule", "create", "web", "--ingress", "--protocol", "tcp"),
        *("--dst-port", "80:443", "--remote-address-group", "office"),
    )
    assert (rule["port_range_min"], rule["port_range_max"]) == (80, 443)
    icmp = osc.json(
        *("security", "group", "rule", "create", "web", "--ethertype", "IPv6", "--protocol"),
        *("ipv6-icmp", "--icmp-type", 128, "--remote-group", "web"),
    )
    assert icmp["remote_group_id"] == rule["security_group_id"]
    again = ("security", "group", "rule", "create", "web", "--protocol", "tcp", "--dst-port")
    osc(*again, 22)
    assert "already exists" in osc(*again, 22, code=1).err
    assert len(osc.json("security", "group", "rule", "list", "web")) == 5
    osc("address", "group", "set", "office", "--address", "198.51.100.0/24")
    osc("address", "group", "unset", "office", "--address", "192.0.2.0/24")
    assert osc.json("address", "group", "show", "office")["addresses"] == ["198.51.100.0/24"]
    assert "in use" in osc("address", "group", "delete", "office", code=1).err
    osc("security", "group", "rule", "delete", rule["id"])
    osc("address", "group", "delete", "office")
    osc("security", "group", "set", "web", "--name", "www", "--description", "x")
    assert osc.json("security", "group", "show", "www")["tags"] == ["red"]
    assert "www" in {each["Name"] for each in osc.json("security", "group", "list")}
    osc("security", "group", "delete", "www")


def test_default_rules(osc: Openstack) -> None:
    noun = ("default", "security", "group", "rule")
    made = osc.json(
        *noun, "create", "--ingress", "--protocol", "tcp", "--dst-port", 22, "--for-default-sg"
    )
    assert made["used_in_default_sg"] is True
    assert osc.json(*noun, "show", made["id"])["protocol"] == "tcp"
    assert len(osc.json(*noun, "list")) == 5
    osc(*noun, "delete", made["id"])


def test_sharing_and_pools(osc: Openstack) -> None:
    pool = osc.json(
        *("subnet", "pool", "create", "pool", "--pool-prefix", "10.2.0.0/16"),
        *("--default-prefix-length", 26, "--tag", "red"),
    )
    assert (pool["min_prefixlen"], pool["default_prefixlen"]) == (8, 26)
    osc("subnet", "pool", "set", "pool", "--pool-prefix", "10.3.0.0/16", "--default-quota", 512)
    assert osc.json("subnet", "pool", "show", "pool")["prefixes"] == ["10.2.0.0/15"]
    osc("network", "create", "pooled")
    subnet = osc.json("subnet", "create", "s", "--network", "pooled", "--subnet-pool", "pool")
    assert subnet["cidr"] == "10.2.0.0/26"
    rbac = osc.json(
        *("network", "rbac", "create", "--type", "network", "--action", "access_as_shared"),
        *("--target-all-projects", "pooled"),
    )
    assert rbac["target_project_id"] == "*"
    assert osc.json("network", "show", "pooled")["shared"] is True
    assert osc.json("network", "rbac", "show", rbac["id"])["object_type"] == "network"
    assert rbac["id"] in {each["ID"] for each in osc.json("network", "rbac", "list")}
    osc("network", "rbac", "delete", rbac["id"])
    assert osc.json("network", "show", "pooled")["shared"] is False
    osc("network", "delete", "pooled")
    osc("subnet", "pool", "delete", "pool")


def test_agents_and_extensions(osc: Openstack, data_dir: Path) -> None:
    report_host(data_dir)
    (agent,) = osc.json("network", "agent", "list")
    assert (agent["Host"], agent["Alive"]) == ("h1", True)
    assert osc.json("network", "agent", "show", agent["ID"])["binary"] == "vifguard"
    found = {each["Alias"] for each in osc.json("extension", "list", "--network")}
    assert {"security-group", "subnet_allocation"} <= found
    assert "router" not in found
    refused = osc("router", "create", "r", code=1)
    assert "404" in refused.err
