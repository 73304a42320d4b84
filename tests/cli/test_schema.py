"""The nouns as a person and a program use them, against a real server."""

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from command import Service, Shell, execute

from vifguard.cli.main import app
from vifguard.client.client import Client
from vifguard.client.endpoint import read_clouds
from vifguard.client.resource import NETWORK, PORT

numbers = itertools.count(1)


@pytest.fixture
def network(vifguard: Shell) -> dict[str, Any]:
    """A shared network with a subnet of each family, named like no other."""
    name = f"net{next(numbers)}"
    made: dict[str, Any] = vifguard.json("network", "create", name, "--shared")
    octet = next(numbers)
    vifguard("subnet", "create", f"{name}-4", "--network", name, "--cidr", f"10.1.{octet}.0/24")
    vifguard("subnet", "create", f"{name}-6", "--network", name, "--cidr", f"fd00:{octet}::/64")
    return made


def test_a_network_is_made_changed_shown_listed_and_deleted(vifguard: Shell) -> None:
    made = vifguard.json(
        *("network", "create", "life", "--shared", "--public", "--mtu", 1400),
        *("--link-local", "any", "--storm", "50/70", "--guards", "mac,arp", "--description", "x y"),
    )
    assert made["mtu"] == 1400
    assert made["storm"] == {"rate": 50, "burst": 70}
    assert made["guards"] == ["mac", "arp"]
    changed = vifguard.json("network", "set", "life", "--guard-profile", "router", "--disable")
    assert (changed["guard_profile"], changed["guards"]) == ("router", None)
    assert changed["admin_state_up"] is False
    assert vifguard.json("network", "set", "life", "--guards", "none")["guards"] == []
    assert vifguard.json("network", "set", "life", "--guards", "default")["guards"] is None
    assert vifguard.json("network", "show", "life") == vifguard.json("network", "show", made["id"])
    assert made["id"] in [one["id"] for one in vifguard.json("network", "list")]
    assert vifguard.json("network", "delete", "life") == {"deleted": [made["id"]]}
    assert vifguard("network", "show", "life", code=3).out == ""


def test_what_guests_may_choose_is_a_networks_choice(vifguard: Shell) -> None:
    made = vifguard.json("network", "create", "v6", "--shared")
    assert (made["link_local"], made["learned_limits"]) == (
        "learned",
        {"link_local": 1, "others": 16},
    )
    changed = vifguard.json(
        "network", "set", "v6", "--link-local", "none", "--learned-limits", "0/4"
    )
    assert changed["link_local"] == "none"
    assert changed["learned_limits"] == {"link_local": 0, "others": 4}
    vifguard("network", "delete", "v6")


def test_an_address_that_a_port_did_not_learn_is_not_released(
    vifguard: Shell, network: dict[str, Any]
) -> None:
    vifguard("port", "create", "learner", "--network", network["name"])
    assert vifguard.json("port", "show", "learner")["learned_addresses"] == []
    said = vifguard("port", "release", "learner", "fe80::a0b0:0:0:1", code=3)
    assert "fe80::a0b0:0:0:1" in said.err
    vifguard("port", "delete", "learner")


def test_a_subnet_is_made_and_changed(vifguard: Shell, network: dict[str, Any]) -> None:
    made = vifguard.json(
        *("subnet", "create", "sub", "--network", network["name"], "--cidr", "10.250.0.0/24"),
        *("--gateway", "none", "--pool", "10.250.0.10-10.250.0.20", "--no-dhcp"),
        *("--nameserver", "10.250.0.3", "--nameserver", "10.250.0.4"),
    )
    assert made["gateway_ip"] is None
    assert made["allocation_pools"] == [{"start": "10.250.0.10", "end": "10.250.0.20"}]
    assert made["dns_nameservers"] == ["10.250.0.3", "10.250.0.4"]
    changed = vifguard.json(
        "subnet", "set", "sub", "--gateway", "10.250.0.1", "--nameserver", "none", "--name", "sub2"
    )
    assert (changed["gateway_ip"], changed["dns_nameservers"]) == ("10.250.0.1", [])
    listed = vifguard("subnet", "list", "--network", network["name"]).out
    assert "10.250.0.10-10.250.0.20" in listed
    vifguard("subnet", "delete", "sub2")


def test_a_port_is_made_plugged_and_changed(vifguard: Shell, network: dict[str, Any]) -> None:
    name = network["name"]
    made = vifguard.json(
        *("port", "create", "port", "--network", name, "--mac", "02:00:00:00:0b:01"),
        *("--fixed-ip", f"{name}-4", "--fixed-ip", f"{name}-6", "--ethertype", "0x88b5"),
        *("--allowed-address", "10.9.0.0/24", "--allowed-address", "10.8.0.1,02:00:00:00:0b:02"),
        *("--roles", "dhcp-server,router-advertiser", "--storm", "7", "--project", "acme"),
    )
    assert made["project_id"] == "acme"
    assert len(made["fixed_ips"]) == 2
    assert made["ethertypes"] == [0x88B5]
    assert [pair["ip_address"] for pair in made["allowed_address_pairs"]] == [
        "10.9.0.0/24",
        "10.8.0.1",
    ]
    assert made["roles"] == ["dhcp-server", "router-advertiser"]
    vifguard("port", "set", "port", "--host", "h1", "--interface", "tap7")
    plugged = vifguard.json("port", "set", "port", "--interface", "tap8", "--roles", "none")
    assert plugged["binding:host_id"] == "h1"
    assert plugged["binding:profile"] == {"interface": "tap8"}
    assert plugged["roles"] == []
    assert vifguard.json("port", "set", "port", "--fixed-ip", "none")["fixed_ips"] == []
    row = next(line for line in vifguard("port", "list").out.splitlines() if made["id"] in line)
    assert re.search(rf"port +{name} +02:00:00:00:0b:01 +h1 +DOWN +\S", row)
    vifguard("port", "delete", "port")


def test_the_profile_that_a_hypervisor_wrote_survives_a_plug(
    vifguard: Shell, server: Service, network: dict[str, Any]
) -> None:
    made = vifguard.json("port", "create", "hyp", "--network", network["name"])
    with Client.from_data_dir(server.data_dir) as client:
        client.update(PORT, made["id"], {"binding:profile": {"theirs": 1}})
    plugged = vifguard.json("port", "set", "hyp", "--interface", "tap9")
    assert plugged["binding:profile"] == {"theirs": 1, "interface": "tap9"}
    unnamed = vifguard.json("port", "set", "hyp", "--interface", "none")
    assert unnamed["binding:profile"] == {"theirs": 1}


def test_a_port_that_no_host_holds_is_not_waited_for_longer(
    vifguard: Shell, network: dict[str, Any]
) -> None:
    vifguard("port", "create", "lost", "--network", network["name"])
    run = vifguard("port", "wait", "lost", "--timeout", 0.1, "--json", code=6)
    assert run.out == ""
    assert "host" in run.err


def test_an_ip_group_shares_addresses_among_ports(vifguard: Shell, network: dict[str, Any]) -> None:
    name = network["name"]
    ports = [vifguard.json("port", "create", f"{name}-{i}", "--network", name) for i in (1, 2)]
    made = vifguard.json(
        *("ip-group", "create", "vip", "--network", name, "--address", f"{name}-4"),
        *("--address", f"{name}-6", "--member", f"{name}-1", "--member", f"{name}-2"),
        *("--vrid4", 51, "--pin", f"{name}-1", "--max-moves", 5),
    )
    assert sorted(made["members"]) == sorted(port["id"] for port in ports)
    assert made["pinned_port_id"] == ports[0]["id"]
    assert made["vrid4"] == 51
    changed = vifguard.json(
        "ip-group", "set", "vip", "--pin", "none", "--vrid4", "none", "--max-moves", "none"
    )
    assert (changed["pinned_port_id"], changed["vrid4"]) == (None, None)
    assert changed["max_moves_per_minute"] is None
    assert f"{name}-1, {name}-2" in vifguard("ip-group", "list").out
    assert vifguard.json("ip-group", "events", "vip") == []
    vifguard("ip-group", "delete", "vip")


def test_an_ambiguous_name_lists_the_ids(vifguard: Shell) -> None:
    ids = [vifguard.json("network", "create", "twin", "--shared")["id"] for _ in range(2)]
    run = vifguard("network", "delete", "twin", code=2)
    assert all(key in run.err for key in ids)
    assert len([one for one in vifguard.json("network", "list") if one["name"] == "twin"]) == 2
    vifguard("network", "delete", *ids)


def test_of_many_with_one_name_ten_are_told_and_how_many_there_are(
    vifguard: Shell, server: Service
) -> None:
    with Client.from_data_dir(server.data_dir) as client:
        bodies = [{"name": "legion", "shared": True}] * 13
        ids = {one["id"] for one in client.create_many(NETWORK, bodies)}
    said = vifguard("network", "delete", "legion", code=2).err
    assert "13 networks are named 'legion'" in said
    assert "and 3 more" in said
    assert len(ids & set(re.findall(r"[0-9a-f-]{36}", said))) == 10
    vifguard("network", "delete", *ids)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", ""),
        ("delete", ""),
        ("delete", "named", ""),
        ("set", "", "--mtu", 1400),
        ("set", "named", "--name", ""),
        ("create", "", "--shared"),
        ("list", "--project", ""),
    ],
)
def test_an_empty_name_is_nobodys(vifguard: Shell, arguments: tuple[object, ...]) -> None:
    with Client.from_data_dir(Path(vifguard.environment["VIFGUARD_DATA_DIR"])) as client:
        ids = [
            client.create(NETWORK, {"name": name, "shared": True})["id"] for name in ("", "named")
        ]
        run = vifguard("network", *arguments, code=2)
        assert "a name is empty" in run.err
        assert set(ids) <= {one["id"] for one in client.list(NETWORK)}
    vifguard("network", "set", "named", "--description", "")
    vifguard("network", "delete", *ids)


def test_no_noun_takes_an_empty_name(vifguard: Shell) -> None:
    for noun in app.registered_groups:
        name = str(noun.typer_instance.info.name)
        verbs = {str(verb.name) for verb in noun.typer_instance.registered_commands}
        for verb in verbs & {"show", "delete", "create", "set"}:
            if name == "lab":
                continue
            assert vifguard(name, verb, "", code=2).out == ""
    for words in (("drops", ""), ("port", "wait", ""), ("port", "rules", "")):
        assert "a name is empty" in vifguard(*words, code=2).err


def test_a_deletion_that_ends_halfway_says_what_is_gone(vifguard: Shell) -> None:
    for name in ("first", "used", "last"):
        vifguard("network", "create", name, "--shared")
    vifguard("subnet", "create", "s", "--network", "used", "--cidr", "10.77.0.0/24")
    vifguard("port", "create", "user", "--network", "used")
    run = vifguard("network", "delete", "first", "used", "last", code=1)
    assert "deleted: first\n" in run.err
    assert "not deleted: used, last" in run.err
    names = {one["name"] for one in vifguard.json("network", "list")}
    assert names & {"first", "used", "last"} == {"used", "last"}
    vifguard("port", "delete", "user")
    vifguard("network", "delete", "used", "used", "last")


def test_deleting_several_looks_all_names_up_first(vifguard: Shell) -> None:
    vifguard("network", "create", "stays", "--shared")
    vifguard("network", "delete", "stays", "no-such", code=3)
    vifguard("network", "delete", "stays")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("network", "show", "no-such"), 3, "no-such"),
        (("network", "create", "a\nb"), 1, "name"),
        (("network", "create", "x", "--storm", "fast"), 2, "RATE/BURST"),
        (("network", "create", "x", "--learned-limits", "3"), 2, "LINK-LOCAL/OTHERS"),
        (("network", "create", "x", "--link-local", "some"), 1, "link_local"),
        (("network", "create", "x", "--guards", "mac", "--guard-profile", "off"), 2, "not both"),
        (("network", "create", "x", "--guards", "firewall"), 1, "firewall"),
        (("network", "set", "no-such"), 2, "nothing to set"),
        (("port", "create", "x"), 2, "--network"),
        (("port", "create", "x", "--network", "no-such"), 3, "no-such"),
        (("ip-group", "create", "x", "--network", "n", "--vrid4", "٣"), 2, "whole number"),
        (("no-such-noun",), 2, "no-such-noun"),
    ],
)
def test_an_error_names_the_value_and_has_its_code(
    vifguard: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    if arguments[:2] == ("ip-group", "create"):
        arguments = (*arguments[:4], "any", *arguments[5:])
    run = vifguard(*arguments, code=None)
    assert run.out == ""
    assert "Traceback" not in run.err
    assert words in run.err
    assert run.code == code


def test_a_name_cannot_speak_to_the_terminal_nor_be_markup(vifguard: Shell) -> None:
    vifguard("network", "create", "[red]x[/red]", "--shared")
    assert "[red]x[/red]" in vifguard("network", "list").out
    run = vifguard("network", "show", "\x1b[31m", code=3)
    assert "\x1b" not in run.err
    vifguard("network", "delete", "[red]x[/red]")


def test_a_row_is_a_line_however_narrow_the_terminal(vifguard: Shell) -> None:
    vifguard("network", "create", "n" * 200, "--shared")
    rows = vifguard("network", "list").out.splitlines()
    assert any("n" * 200 in row for row in rows)
    vifguard("network", "delete", "n" * 200)


def test_nobody_there_is_code_5(tmp_path: Path) -> None:
    shell = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    assert "vifguard up" in shell("network", "list", code=5).err
    (tmp_path / "password").write_text("p\n")
    away = ("--url", f"unix:{tmp_path}/none", "--user", "a", "--password-file")
    assert "none" in shell("network", "list", *away, tmp_path / "password", code=5).err


def test_a_url_needs_its_own_credentials(server: Service, vifguard: Shell) -> None:
    run = vifguard("network", "list", "--url", server.url, code=2)
    assert "--user" in run.err
    run = vifguard("network", "list", "--url", server.url, "--user", "admin", code=2)
    assert "--password-file" in run.err
    environment = {
        "VIFGUARD_URL": server.url,
        "VIFGUARD_USER": "admin",
        "VIFGUARD_PASSWORD": (server.data_dir / "admin-password").read_text().strip(),
    }
    assert isinstance(Shell(environment).json("network", "list"), list)
    assert Shell({**environment, "VIFGUARD_PASSWORD": "guess"})("network", "list", code=4).out == ""


def test_a_user_whose_file_cannot_be_written_is_not_made(vifguard: Shell, tmp_path: Path) -> None:
    said = vifguard(
        *("user", "create", "eve", "--project", "acme"),
        *("--clouds-file", tmp_path / "nowhere" / "clouds.yaml"),
        code=2,
    ).err
    assert "nowhere" in said
    assert "nothing was changed" in said
    assert "eve" not in vifguard("user", "list").out


@pytest.mark.parametrize(
    "content",
    [
        "clouds: {vifguard: {auth: {username: carol}}}",
        "clouds: {vifguard: {auth: {username: bob}}, devstack: {}}",
        "clouds: {devstack: {}}",
        "a note",
        "][",
    ],
)
def test_a_clouds_file_of_another_is_written_over_by_force_alone(
    vifguard: Shell, tmp_path: Path, content: str
) -> None:
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(content)
    create = ("user", "create", "bob", "--project", "acme", "--clouds-file", clouds)
    said = vifguard(*create, code=2).err
    assert str(clouds) in said
    assert "--force" in said
    assert clouds.read_text() == content
    assert "bob" not in vifguard("user", "list").out
    assert vifguard.json(*create, "--force")["password"] is None
    first = read_clouds(clouds)
    assert first.user == "bob"
    # It holds nobody but the user now.
    vifguard("user", "set-password", "bob", "--clouds-file", clouds)
    assert read_clouds(clouds).password != first.password
    vifguard("user", "delete", "bob")


def test_a_role_that_is_none_is_told_with_those_there_are(vifguard: Shell) -> None:
    said = vifguard("user", "create", "eve", "--project", "acme", "--role", "boss", code=2).err
    assert "'boss' is none of admin, agent, member, reader, service" in " ".join(said.split())


def test_a_user_is_made_may_do_what_the_role_says_and_is_removed(
    server: Service, vifguard: Shell, tmp_path: Path
) -> None:
    clouds = tmp_path / "clouds.yaml"
    run = vifguard("user", "create", "ann", "--project", "acme", "--clouds-file", clouds)
    password = read_clouds(clouds).password
    assert (run.out, password in run.err, str(clouds) in run.err) == ("", False, True)
    assert clouds.stat().st_mode & 0o777 == 0o600
    ann = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    assert isinstance(ann.json("port", "list"), list)
    assert ann("host", "list", code=4).out == ""
    by_password = {
        "VIFGUARD_URL": server.url,
        "VIFGUARD_USER": "ann",
        "VIFGUARD_PASSWORD": password,
    }
    assert Shell(by_password)("port", "list").code == 0
    vifguard("user", "create", "ann", "--project", "acme", code=2)
    new = vifguard.json("user", "set-password", "ann")["password"]
    assert Shell(by_password)("port", "list", code=4).out == ""
    assert Shell({**by_password, "VIFGUARD_PASSWORD": new})("port", "list").code == 0
    assert {"name": "ann", "project_id": "acme", "roles": ["member"], "host": ""} in vifguard.json(
        "user", "list"
    )
    vifguard("user", "delete", "ann")
    assert Shell({**by_password, "VIFGUARD_PASSWORD": new})("port", "list", code=4).out == ""
    vifguard("user", "delete", "ann", code=2)


def test_a_user_gets_another_project_and_roles_and_keeps_the_password(
    server: Service, vifguard: Shell
) -> None:
    password = vifguard("user", "create", "eve", "--project", "p1").out.strip()
    asking = {"VIFGUARD_URL": server.url, "VIFGUARD_USER": "eve", "VIFGUARD_PASSWORD": password}
    changed = vifguard.json("user", "set", "eve", "--project", "p2", "--role", "reader")
    assert changed == {"name": "eve", "project_id": "p2", "roles": ["reader"]}
    assert Shell(asking)("port", "list").code == 0
    assert "nothing to set" in vifguard("user", "set", "eve", code=2).err
    vifguard("user", "set", "eve", "--role", "king", code=2)
    vifguard("user", "set", "eve", "--project", "", code=2)
    vifguard("user", "delete", "eve")


@pytest.mark.parametrize(
    "arguments",
    [("a:b", "--project", "p"), ("", "--project", "p"), ("x", "--project", "p p"),
     ("x", "--project", "p", "--role", "king")],
)  # fmt: skip
def test_a_user_that_cannot_be_is_refused(vifguard: Shell, arguments: tuple[str, ...]) -> None:
    before = vifguard.json("user", "list")
    run = vifguard("user", "create", *arguments, code=2)
    assert "Traceback" not in run.err
    assert vifguard.json("user", "list") == before


def test_the_operator_who_changes_the_own_password_keeps_asking(
    server: Service, vifguard: Shell
) -> None:
    old = (server.data_dir / "admin-password").read_text()
    vifguard("user", "set-password", "admin")
    assert (server.data_dir / "admin-password").read_text() != old
    assert isinstance(vifguard.json("network", "list"), list)


def test_a_shell_completes_names_and_stays_silent_without_a_server(vifguard: Shell) -> None:
    vifguard("network", "create", "completed", "--shared")
    typed = {
        "_VIFGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "vifguard network show comp",
        "COMP_CWORD": "3",
    }
    assert execute(**vifguard.environment, **typed).out.split() == ["completed"]
    nobody = execute(VIFGUARD_DATA_DIR=os.devnull, **typed)
    assert (nobody.out.strip(), nobody.err) == ("", "")
    vifguard("network", "delete", "completed")


def test_json_is_one_document_for_every_reading_command(vifguard: Shell) -> None:
    for command in ("network", "subnet", "port", "ip-group", "host", "user"):
        assert isinstance(json.loads(vifguard(command, "list", "--json").out), list)
    assert set(vifguard.json("drops")) == {"drops", "kinds", "counts"}
