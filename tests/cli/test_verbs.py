"""Verbs and options that many nouns have, against a server with a host of its own."""

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from command import Service, Shell, execute

from vifguard.cli.show.times import moment
from vifguard.client.client import Client
from vifguard.client.feed import HttpFeed
from vifguard.client.resource import PORT
from vifguard.feed.messages import PortReport, Report
from vifguard.model.port import PortState

numbers = itertools.count(1)


@pytest.fixture
def vifguard(served: Service) -> Shell:
    return served.shell()


@pytest.fixture
def lan(vifguard: Shell) -> str:
    """A shared network with a subnet, named like no other."""
    number = next(numbers)
    name = f"lan{number}"
    vifguard("network", "create", name, "--shared")
    vifguard("subnet", "create", f"{name}-4", "--network", name, "--cidr", f"10.3.{number}.0/24")
    return name


def names(found: Any) -> list[str]:
    return sorted(one["name"] for one in found)


def test_tags_are_put_on_and_taken_off_and_found_by(vifguard: Shell, lan: str) -> None:
    assert vifguard.json("network", "tag", lan, "red", "old one")["tags"] == ["old one", "red"]
    vifguard("network", "tag", lan, "blue")
    assert names(vifguard.json("network", "list", "--tag", "red", "--tag", "blue")) == [lan]
    assert vifguard.json("network", "list", "--tag", "red", "--tag", "green") == []
    assert vifguard.json("network", "untag", lan, "old one")["tags"] == ["blue", "red"]
    assert vifguard.json("network", "untag", lan)["tags"] == []


@pytest.mark.parametrize(
    "noun", ["network", "subnet", "port", "ip-group", "security-group", "address-group"]
)
def test_a_list_is_narrowed_and_read_in_parts(vifguard: Shell, lan: str, noun: str) -> None:
    options = {
        "network": ("--shared",),
        "subnet": ("--network", lan),
        "port": ("--network", lan),
        "ip-group": ("--network", lan, "--address", f"{lan}-4"),
    }.get(noun, ())
    for number in range(3):
        cidr = ("--cidr", f"10.9{number}.0.0/24") if noun == "subnet" else ()
        vifguard(noun, "create", f"{lan}{noun}{number}", *options, *cidr, "--project", lan)
    one = vifguard.json(noun, "list", "--name", f"{lan}{noun}1")
    assert names(one) == [f"{lan}{noun}1"]
    whole = vifguard.json(noun, "list", "--project", lan)
    first = vifguard.json(noun, "list", "--project", lan, "--limit", 2)
    rest = vifguard.json(noun, "list", "--project", lan, "--limit", 2, "--after", first[-1]["id"])
    assert len(first) == 2
    assert sorted(one["id"] for one in [*first, *rest]) == sorted(one["id"] for one in whole)[:4]


def test_ports_are_found_by_what_they_are(vifguard: Shell, lan: str) -> None:
    fixed = f"10.3.{lan.removeprefix('lan')}.77"
    vifguard("port", "create", f"{lan}a", "--network", lan, "--fixed-ip", fixed)
    device = ("--device-id", f"vm-{lan}", "--mac", "02:00:00:00:77:77")
    vifguard("port", "create", f"{lan}b", "--network", lan, *device)
    for option, wanted in (
        (("--address", fixed), "a"),
        (("--device", f"vm-{lan}"), "b"),
        (("--mac", "02:00:00:00:77:77", "--network", lan), "b"),
    ):
        assert names(vifguard.json("port", "list", *option)) == [lan + wanted]
    assert len(vifguard.json("port", "list", "--network", lan, "--status", "DOWN")) == 2
    assert vifguard.json("port", "list", "--network", lan, "--status", "ACTIVE") == []


def test_one_group_or_pair_is_added_and_removed(vifguard: Shell, lan: str) -> None:
    groups = [vifguard.json("security-group", "create", f"{lan}{i}")["id"] for i in (1, 2)]
    vifguard("port", "create", lan, "--network", lan, "--security-group", f"{lan}1")
    pair = ("--allowed-address", "10.77.0.0/24")
    added = vifguard.json("port", "add", lan, "--security-group", f"{lan}2", *pair)
    assert sorted(added["security_groups"]) == sorted(groups)
    again = vifguard.json("port", "add", lan, *pair, "--allowed-address", "10.78.0.1")
    pairs = [one["ip_address"] for one in again["allowed_address_pairs"]]
    assert pairs == ["10.77.0.0/24", "10.78.0.1"]
    left = vifguard.json("port", "remove", lan, "--security-group", f"{lan}1", *pair)
    assert left["security_groups"] == groups[1:]
    assert [one["ip_address"] for one in left["allowed_address_pairs"]] == ["10.78.0.1"]
    assert "give --security-group" in vifguard("port", "add", lan, code=2).err


def test_a_member_is_added_and_removed_and_shown_by_name(vifguard: Shell, lan: str) -> None:
    for name in ("ha1", "ha2"):
        vifguard("port", "create", f"{lan}-{name}", "--network", lan)
    vifguard("ip-group", "create", lan, "--network", lan, code=2)
    address = ("--address", f"{lan}-4")
    vifguard("ip-group", "create", lan, "--network", lan, *address, "--member", f"{lan}-ha1")
    vifguard("ip-group", "add", lan, f"{lan}-ha2", f"{lan}-ha1")
    shown = vifguard("ip-group", "show", lan).out
    assert f"{lan}-ha1" in shown
    assert f"{lan}-ha2" in shown
    (member,) = vifguard.json("ip-group", "remove", lan, f"{lan}-ha1")["members"]
    both = vifguard.json("ip-group", "add", lan, "--member", f"{lan}-ha1")["members"]
    assert len(both) == 2
    assert vifguard.json("ip-group", "remove", lan, "--member", f"{lan}-ha1")["members"] == [member]
    assert "--member" in vifguard("ip-group", "add", lan, code=2).err
    assert vifguard.json("port", "show", member)["name"] == f"{lan}-ha2"


def test_who_changes_a_list_at_the_same_time_loses_nothing(
    vifguard: Shell, served: Service, lan: str
) -> None:
    port = vifguard.json("port", "create", lan, "--network", lan)
    asked: list[str] = []
    with Client.from_data_dir(served.data_dir) as client:

        def change(found: dict[str, Any]) -> dict[str, Any]:
            if not asked:
                client.update(PORT, port["id"], {"name": "theirs"})
            asked.append(found["name"])
            return {"description": f"of {found['name']}"}

        changed = client.change(PORT, port["id"], change)
    assert asked == [lan, "theirs"]
    assert (changed["name"], changed["description"]) == ("theirs", "of theirs")


def test_moments_are_shown_as_local_times(vifguard: Shell, lan: str) -> None:
    made = vifguard.json("network", "show", lan)
    shown = " ".join(vifguard("network", "show", lan).out.split())
    assert f"created_at {moment(made['created_at'])}" in shown


def test_what_another_project_shares_goes_by_its_name(
    vifguard: Shell, lan: str, tmp_path: Path
) -> None:
    group = vifguard.json("security-group", "create", f"web-{lan}", "--project", "owner")
    vifguard("user", "create", lan, "--project", lan, "--clouds-file", tmp_path / "clouds.yaml")
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    made = tenant.json("port", "create", lan, "--network", lan)
    asked = ("port", "set", made["id"], "--security-group", f"web-{lan}")
    tenant(*asked, code=3)
    vifguard(*asked, code=3)
    policy = ("rbac-policy", "create", "security-group", group["id"], "--with", lan)
    vifguard(*policy, "--project", "owner")
    for shell in (tenant, vifguard):
        assert shell.json(*asked)["security_groups"] == [group["id"]]
    rule = ("security-group-rule", "create", "default", "--remote-group", f"web-{lan}")
    assert tenant.json(*rule)["remote_group_id"] == group["id"]
    assert f"web-{lan}" in vifguard("rbac-policy", "list").out
    assert f"web-{lan}" in tenant("port", "show", made["id"]).out


def test_a_service_binds_a_port_and_is_told_what_became_of_it(
    vifguard: Shell, lan: str, tmp_path: Path
) -> None:
    """It may not list what the port's references are called."""
    port = vifguard.json("port", "create", lan, "--network", lan)
    hook = ("user", "create", lan, "--project", "services", "--role", "service")
    vifguard(*hook, "--clouds-file", tmp_path / "clouds.yaml")
    service = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    assert "h7" in service("port", "set", port["id"], "--host", "h7").out
    assert vifguard.json("port", "show", port["id"])["binding:host_id"] == "h7"
    service("port", "set", port["id"], "--host", "none")
    assert vifguard.json("port", "show", port["id"])["binding:host_id"] != "h7"


def test_an_owner_is_told_with_whom_a_network_is_shared(
    vifguard: Shell, lan: str, tmp_path: Path
) -> None:
    user = f"of-{lan}"
    vifguard("user", "create", user, "--project", user, "--clouds-file", tmp_path / "clouds.yaml")
    vifguard("network", "create", user, "--project", user)
    owner = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    policy = vifguard.json(
        "rbac-policy", "create", "network", user, "--with", "evil", "--project", user
    )
    said = owner("network", "delete", user, code=4).err
    assert f"shared with evil (delete RBAC policy {policy['id']})" in said
    vifguard("rbac-policy", "delete", policy["id"])
    owner("network", "delete", user)


def test_a_mac_is_given_back(vifguard: Shell, lan: str) -> None:
    chosen = "02:00:00:00:0c:07"
    vifguard("port", "create", f"{lan}p", "--network", lan, "--mac", chosen)
    other = vifguard.json("port", "set", f"{lan}p", "--mac", "default")["mac_address"]
    assert other != chosen
    again = vifguard.json("port", "create", f"{lan}q", "--network", lan, "--mac", chosen)
    assert again["mac_address"] == chosen


def test_a_change_of_an_active_port_is_shown_once_it_is_enforced(
    vifguard: Shell, served: Service, lan: str
) -> None:
    port = vifguard.json("port", "create", f"{lan}p", "--network", lan, "--host", "h1")
    with Client.from_data_dir(served.data_dir) as client:
        feed = HttpFeed(client, "h1")

        def hold(revision: int) -> None:
            report = PortReport(port["id"], revision, PortState.ENFORCED, "tap0")
            feed.report(Report("h1", ports=(report,), reached=revision))

        def follow() -> None:
            before = port["policy_revision"]
            while client.show(PORT, port["id"])["policy_revision"] == before:
                pass
            hold(client.show(PORT, port["id"])["policy_revision"])

        hold(port["policy_revision"])
        assert vifguard.json("port", "show", port["id"])["status"] == "ACTIVE"
        host = threading.Thread(target=follow)
        host.start()
        words = ("port", "set", port["id"], "--guard-profile", "mac", "--json")
        run = execute(*words, VIFGUARD_DATA_DIR=str(served.data_dir))
        host.join()
    assert (run.json["guard_profile"], run.json["status"]) == ("mac", "ACTIVE")


def test_a_policy_gets_another_target(vifguard: Shell, lan: str) -> None:
    vifguard("address-group", "create", lan)
    made = vifguard.json("rbac-policy", "create", "address-group", lan, "--with", "one")
    changed = vifguard.json("rbac-policy", "set", made["id"], "--with", "two")
    assert changed["target_tenant"] == "two"


def test_what_new_groups_begin_with_is_the_operators(vifguard: Shell, lan: str) -> None:
    rule = ("--protocol", "tcp", "--port", "22", "--in-default")
    made = vifguard.json("default-security-group-rule", "create", *rule)
    assert made["used_in_default_sg"] is True
    assert "22" in vifguard("default-security-group-rule", "list").out
    begun = vifguard.json("security-group", "create", lan)["security_group_rules"]
    assert 22 in [one["port_range_min"] for one in begun]
    vifguard("default-security-group-rule", "delete", made["id"])
    vifguard("default-security-group-rule", "show", made["id"], code=3)


def test_what_is_offered_and_how_full_networks_are_is_shown(
    served: Service, vifguard: Shell, lan: str
) -> None:
    assert "ip-groups" in vifguard("extension", "list").out
    assert vifguard.json("extension", "show", "ip-groups")["alias"] == "ip-groups"
    with Client.from_data_dir(served.data_dir) as client:
        HttpFeed(client, "h1").report(Report("h1", read_back=True))
    assert vifguard.json("capabilities")["security_groups"]["offered"] is True
    vifguard("port", "create", lan, "--network", lan)
    (row,) = vifguard.json("network", "availability", lan)
    assert (row["network_name"], row["used_ips"]) == (lan, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--protocol", "icmp", "--port", "80"), "--icmp"),
        (("--protocol", "tcp", "--port", "80:90"), "80-90"),
        (("--protocol", "icmp", "--icmp", "8-0"), "3/1"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(
    vifguard: Shell, options: tuple[str, ...], words: str
) -> None:
    run = vifguard("security-group-rule", "create", "default", *options, code=2)
    assert words in run.err


def test_a_groups_rules_are_a_table(vifguard: Shell, lan: str) -> None:
    lines = vifguard("security-group", "create", lan).out.splitlines()
    rows = [line for line in lines if line.startswith("egress")]
    assert len(rows) == 2
    assert max(map(len, rows)) < 100


def test_an_unknown_quota_names_the_known_and_any_is_said_so(vifguard: Shell, lan: str) -> None:
    said = vifguard("quota", "set", lan, "prot=2", code=2).err
    assert "'prot'" in said
    assert "port" in said
    assert "any" in vifguard("quota", "set", lan, "port=none").out
    assert vifguard.json("quota", "set", lan, "port=none")["port"] == -1
