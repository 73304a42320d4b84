"""Security groups as a person and a program use them, against a server with a host of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Service, Shell


@pytest.fixture(scope="module")
def groups(served: Service) -> Shell:
    shell = served.shell()
    shell("network", "create", "lan", "--shared")
    shell("subnet", "create", "lan4", "--network", "lan", "--cidr", "10.0.0.0/24")
    return shell


def test_a_group_is_made_changed_shown_listed_and_deleted(groups: Shell) -> None:
    made = groups.json("security-group", "create", "life", "--stateless", "--description", "x y")
    assert made["stateful"] is False
    changed = groups.json(
        "security-group", "set", "life", "--name", "live", "--stateful", "--reject"
    )
    assert (changed["name"], changed["stateful"], changed["reject"]) == ("live", True, True)
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
        "security-group-rule", "create", "web", "--protocol", "tcp", "--port", "80-", code=2
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


CLOUD = """
projects:
  shop:
    address_groups: {office: {addresses: [192.0.2.0/24]}}
    security_groups:
      web:
        rules:
          - {direction: ingress, protocol: tcp, port_range_min: 80, port_range_max: 80}
          - {direction: ingress, protocol: 1, remote_address_group: office}
          - {direction: egress, protocol: tcp, remote_group: db}
      db:
        description: databases
        rules:
          - {direction: ingress, protocol: TCP, port_range_min: 5432, port_range_max: 5432,
             remote_group: web}
    ports:
      www: {network: lan, security_groups: [web]}
      sql: {network: lan, security_groups: [db]}
"""


def rules_of(shell: Shell, group: str) -> set[tuple[Any, ...]]:
    names = {
        one["id"]: one["name"]
        for noun in ("security-group", "address-group")
        for one in shell.json(noun, "list")
    }
    mine = ("--group", group, "--project", "shop")
    return {
        (
            rule["direction"],
            rule["protocol"],
            rule["port_range_min"],
            names.get(rule["remote_group_id"] or rule["remote_address_group_id"]),
        )
        for rule in shell.json("security-group-rule", "list", *mine)
    }


class TestApply:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "cloud.yaml").write_text(CLOUD)
        return tmp_path / "cloud.yaml"

    @pytest.fixture
    def shop(self, groups: Shell) -> Iterator[Shell]:
        """The command; the project is empty again afterwards."""
        yield groups
        for noun in ("port", "security-group", "address-group"):
            mine = groups.json(noun, "list", "--project", "shop")
            if ids := [one["id"] for one in mine]:
                groups(noun, "delete", *ids)

    def test_groups_that_refer_to_each_other_come_into_being(self, shop: Shell, file: Path) -> None:
        shop("apply", "-f", file)
        assert rules_of(shop, "web") == {
            ("ingress", "tcp", 80, None),
            ("ingress", "1", None, "office"),
            ("egress", "tcp", None, "db"),
        }
        assert rules_of(shop, "db") == {("ingress", "tcp", 5432, "web")}
        assert shop("apply", "-f", file).out == "no changes\n"
        ports = shop.json("port", "list", "--project", "shop")
        (port,) = (one for one in ports if one["name"] == "www")
        mine = shop.json("security-group", "list", "--project", "shop")
        (web,) = (one for one in mine if one["name"] == "web")
        assert port["security_groups"] == [web["id"]]

    @staticmethod
    def web(shop: Shell) -> set[str]:
        mine = shop.json("security-group-rule", "list", "--group", "web", "--project", "shop")
        return {one["id"] for one in mine}

    def test_what_differs_is_changed_and_the_rest_kept(self, shop: Shell, file: Path) -> None:
        shop("apply", "-f", file)
        before = self.web(shop)
        changed = CLOUD.replace("80", "443").replace("192.0.2.0/24", "198.51.100.0/24")
        file.write_text(changed.replace("protocol: 1,", "protocol: icmp,"))
        done = shop("apply", "-f", file).out
        assert (
            "~ address-group shop/office (addresses: [192.0.2.0/24] -> [198.51.100.0/24])" in done
        )
        assert "~ security-group-rules shop/web (rules: " in done
        assert len(done.splitlines()) == 2
        assert ("ingress", "tcp", 443, None) in rules_of(shop, "web")
        assert len(self.web(shop) & before) == 2
        assert shop("apply", "-f", file).out == "no changes\n"

    def test_a_step_that_is_refused_takes_the_others_back(self, shop: Shell, file: Path) -> None:
        shop("apply", "-f", file)
        before = [rules_of(shop, name) for name in ("web", "db")]
        changed = CLOUD.replace("192.0.2.0/24", "198.51.100.0/24").replace("80", "443")
        file.write_text(changed.replace("sql: {", "sql: {mac_address: 'fa:16:3e:00:00:01', "))
        mine = shop.json("port", "list", "--project", "shop")
        (www,) = (one for one in mine if one["name"] == "www")
        shop("port", "set", www["id"], "--mac", "fa:16:3e:00:00:01")
        run = shop("apply", "-f", file, code=1)
        assert "changed security-group-rules shop/web back" in run.err
        assert [rules_of(shop, name) for name in ("web", "db")] == before
        (office,) = shop.json("address-group", "list", "--project", "shop")
        assert office["addresses"] == ["192.0.2.0/24"]

    def test_prune_leaves_the_default_group(self, shop: Shell, file: Path) -> None:
        shop("apply", "-f", file)
        file.write_text("projects: {shop: {address_groups: {office: {}}}}")
        shop("apply", "-f", file, "--prune", "--yes")
        mine = shop.json("security-group", "list", "--project", "shop")
        assert [one["name"] for one in mine] == ["default"]
        assert not shop.json("port", "list", "--project", "shop")

    @pytest.mark.parametrize(
        ("rule", "why"),
        [
            ("{direction: ingress, protocol: tpc}", "'tpc' not supported"),
            ("{direction: in}", "'in' is not in"),
            ("{protocol: tcp}", "'direction' not specified"),
            ("{direction: ingress, port_range_min: 80}", "Must also specify protocol"),
            ("{direction: ingress, remote_group: nobody}", "there is no security-group 'nobody'"),
            ("{direction: ingress, colour: red}", "'colour'"),
            ("tcp", "is no rule"),
            ("{direction: ingress}, {direction: ingress, protocol: any}", "means the same"),
        ],
    )
    def test_a_bad_rule_changes_nothing(self, shop: Shell, file: Path, rule: str, why: str) -> None:
        groups = f"{{web: {{rules: [{rule}]}}}}"
        file.write_text(f"projects: {{shop: {{security_groups: {groups}}}}}")
        run = shop("apply", "-f", file, code=2)
        assert why in run.err
        assert "nothing was changed" in run.err
        assert not [
            one
            for one in shop.json("security-group", "list", "--project", "shop")
            if one["name"] != "default"
        ]
