"""`vifguard apply` against a real server: all, or nothing; and the second time nothing."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Shell

from vifguard.cli.apply.fields import FileField
from vifguard.cli.apply.schema import NOUNS, PARTS
from vifguard.client.client import Client

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cloud.yaml"
NOUN_COMMANDS = (
    "subnet-pool",
    "network",
    "subnet",
    "address-group",
    "security-group",
    "port",
    "ip-group",
)

numbers = itertools.count(1)


@pytest.fixture
def project(vifguard: Shell) -> Iterator[str]:
    """A project of the test's own, empty again afterwards."""
    name = f"proj{next(numbers)}"
    yield name
    empty(vifguard, name)


def empty(vifguard: Shell, project: str) -> None:
    for noun in reversed(NOUN_COMMANDS):
        ids = [one["id"] for one in objects(vifguard, noun, project)]
        if ids:
            vifguard(noun, "delete", *ids)


def objects(vifguard: Shell, noun: str, project: str) -> list[dict[str, Any]]:
    index = NOUN_COMMANDS.index(noun)
    return [one for one in everything(vifguard)[index] if one["project_id"] == project]


def everything(vifguard: Shell) -> list[Any]:
    with Client.from_data_dir(Path(vifguard.environment["VIFGUARD_DATA_DIR"])) as client:
        kinds = [client.list(noun.resource) for noun in NOUNS.values()]
    # A project's default security group comes with its first port, and stays.
    return [[each for each in kind if each.get("name") != "default"] for kind in kinds]


def named(vifguard: Shell, noun: str, project: str, name: str) -> str:
    return str(next(x["id"] for x in objects(vifguard, noun, project) if x["name"] == name))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cloud.yaml"


def write(file: Path, project: str, **nouns: Any) -> Path:
    file.write_text(json.dumps({"projects": {project: nouns}}))
    return file


def test_the_example_comes_into_being_and_the_second_run_changes_nothing(vifguard: Shell) -> None:
    before = everything(vifguard)
    planned = vifguard("apply", "-f", EXAMPLE, "--dry-run").out
    assert everything(vifguard) == before
    done = vifguard("apply", "-f", EXAMPLE)
    assert done.out == planned
    assert all(line.startswith("+ ") for line in done.out.splitlines())
    after = everything(vifguard)
    assert vifguard("apply", "-f", EXAMPLE).out == "no changes\n"
    assert vifguard.json("apply", "-f", EXAMPLE) == {"applied": True, "changes": []}
    assert everything(vifguard) == after
    (group,) = objects(vifguard, "ip-group", "shop")
    members = {one["id"]: one["name"] for one in objects(vifguard, "port", "shop")}
    assert sorted(members[key] for key in group["members"]) == ["www-1", "www-2"]
    assert len(group["addresses"]) == 2
    nat = next(one for one in objects(vifguard, "port", "company") if one["name"] == "nat")
    assert nat["guard_profile"] == "router"
    for name in ("shop", "company", "provider"):
        empty(vifguard, name)


def test_what_differs_is_changed_and_said(vifguard: Shell, project: str, file: Path) -> None:
    nouns: dict[str, Any] = {"networks": {"n": {}}, "ports": {"p": {"network": "n"}}}
    vifguard("apply", "-f", write(file, project, **nouns))
    nouns["ports"]["p"] = {"network": "n", "guard_profile": "strict", "interface": "tap1"}
    nouns["networks"]["n"] = {"mtu": 1400}
    write(file, project, **nouns)
    changed = vifguard.json("apply", "-f", file)["changes"]
    assert [(one["action"], one["noun"], one["name"]) for one in changed] == [
        ("update", "network", "n"),
        ("update", "port", "p"),
    ]
    assert changed[0]["fields"] == {"mtu": {"from": 1500, "to": 1400}}
    (port,) = objects(vifguard, "port", project)
    assert port["guard_profile"] == "strict"
    assert port["binding:profile"] == {"interface": "tap1"}
    assert vifguard("apply", "-f", file).out == "no changes\n"


def test_pruning_takes_away_what_is_not_declared_any_more(
    vifguard: Shell, project: str, file: Path
) -> None:
    full = {
        "networks": {"n": {}, "m": {}},
        "subnets": {"s": {"network": "m", "cidr": "10.0.0.0/24"}},
        "ports": {"p": {"network": "m"}},
    }
    vifguard("apply", "-f", write(file, project, **full))
    # What a person or a hypervisor made is not a file's.
    vifguard(
        "port",
        "create",
        "by-hand",
        "--network",
        named(vifguard, "network", project, "n"),
        "--project",
        project,
    )
    write(file, project, networks={"n": {}})
    assert vifguard("apply", "-f", file).out == "no changes\n"
    assert len(objects(vifguard, "port", project)) == 2
    planned = vifguard("apply", "-f", file, "--prune", "--dry-run").out.splitlines()
    assert planned == [f"- port {project}/p", f"- subnet {project}/s", f"- network {project}/m"]
    asked = vifguard("apply", "-f", file, "--prune", code=2)
    assert "--yes" in asked.err
    assert len(objects(vifguard, "port", project)) == 2
    vifguard("apply", "-f", file, "--prune", "--yes")
    assert [one["name"] for one in objects(vifguard, "port", project)] == ["by-hand"]
    assert [one["name"] for one in objects(vifguard, "network", project)] == ["n"]


GOOD = "networks: {n: {}}, subnets: {s: {network: n, cidr: 10.0.0.0/24}}"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("ports: {p: {network: n, colour: red}}", "'colour' is unknown"),
        ("ports: {p: {network: n, mac_address: '02:00:00:00:00'}}", "02:00:00:00:00"),
        ("ports: {p: {network: n, mac_address: 01:00:5e:00:00:01}}", "01:00:5e:00:00:01"),
        ("ports: {p: {network: nn}}", "'nn'"),
        ("ports: {p: {network: n, fixed_ips: [{subnet: v4}]}}", "'v4'"),
        ("ports: {p: {network: n, fixed_ips: [{ip_address: 'fe80::1%x'}]}}", "fe80::1%x"),
        ("ports: {p: {network: n}, p: {network: n}}", "'p' is declared twice"),
        ("networks: {m: {}}", "'networks' is declared twice"),
        ("ports: {p: {}}", "network is missing"),
        ("ip_groups: {g: {network: n, vrid4: 256}}", "256"),
        ("ip_groups: {g: {network: n, members: [p]}}", "'p'"),
        ("ports: &x {p: {network: n}}, ip_groups: *x", "aliases"),
        ("ports: {p: !!python/name:os.system {}}", "tags"),
        ("ports: [", "line"),
    ],
)
def test_a_file_with_one_bad_item_changes_nothing(
    vifguard: Shell, project: str, file: Path, bad: str, words: str
) -> None:
    before = everything(vifguard)
    file.write_text(f"projects: {{{project}: {{{GOOD}, {bad}}}}}")
    run = vifguard("apply", "-f", file, code=2)
    assert run.out == ""
    assert words in run.err
    assert "nothing was changed" in run.err
    assert "Traceback" not in run.err
    assert everything(vifguard) == before


def test_every_mistake_of_every_kind_is_told_at_once(
    vifguard: Shell, project: str, file: Path
) -> None:
    rules = "[{direction: up}, {direction: ingress}, {direction: down}]"
    file.write_text(
        f"projects: {{{project}: {{{GOOD}, security_groups: {{g: {{rules: {rules}}}, g: }},"
        " ports: {p: {network: nowhere}, q: {network: n, mac_address: x}}}}"
    )
    said = vifguard("apply", "-f", file, code=2).err
    assert "has 5 mistakes" in said
    for words in ("'g' is declared twice", "rules[0]", "rules[2]", "'nowhere'", "mac_address: 'x'"):
        assert words in said


def test_a_missing_file_is_named(vifguard: Shell, tmp_path: Path) -> None:
    assert "none.yaml" in vifguard("apply", "-f", tmp_path / "none.yaml", code=2).err


def test_what_the_server_refuses_half_way_is_taken_back(
    vifguard: Shell, project: str, file: Path
) -> None:
    write(file, project, networks={"old": {"mtu": 1300}})
    vifguard("apply", "-f", file)
    before = everything(vifguard)
    address = [{"ip_address": "10.0.0.5"}]
    write(
        file,
        project,
        networks={"old": {"mtu": 1400}, "n": {}},
        subnets={"s": {"network": "n", "cidr": "10.0.0.0/24"}},
        ports={
            "one": {"network": "n", "fixed_ips": address},
            "two": {"network": "n", "fixed_ips": address},
        },
    )
    run = vifguard("apply", "-f", file, code=1)
    assert f"port {project}/two" in run.err
    assert "10.0.0.5" in run.err
    for word in ("port", "subnet", "network"):
        assert re.search(rf"deleted {word} {project}/\w+ again", run.err)
    assert f"changed network {project}/old back" in run.err
    after = everything(vifguard)
    assert [[one["id"] for one in kind] for kind in after] == [
        [one["id"] for one in kind] for kind in before
    ]
    (old,) = objects(vifguard, "network", project)
    assert old["mtu"] == 1300


def test_a_project_applies_its_own_and_may_not_more(
    vifguard: Shell, project: str, file: Path, tmp_path: Path
) -> None:
    lan = f"lan-{project}"
    vifguard("network", "create", lan, "--shared", "--project", project)
    vifguard("subnet", "create", "s", "--network", lan, "--cidr", "10.7.0.0/24")
    vifguard(
        *("user", "create", project, "--project", project),
        *("--clouds-file", tmp_path / "clouds.yaml"),
    )
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    write(file, project, ports={"p": {"network": lan, "fixed_ips": [{"subnet": "s"}]}})
    assert tenant("apply", "-f", file).out.startswith(f"+ port {project}/p")
    assert tenant("apply", "-f", file).out == "no changes\n"
    others = {"projects": {project: {}, "acme": {"networks": {"n": {}}}, "zeta": None}}
    file.write_text(json.dumps(others))
    for options in (("--dry-run",), ()):
        refused = tenant("apply", "-f", file, *options, code=2)
        assert "nothing was changed" in refused.err
        for other in ("acme", "zeta"):
            assert f"project {other} is not yours: you are of project {project}" in refused.err
    assert vifguard("apply", "-f", file, "--dry-run").out == "+ network acme/n\n"
    pairs = [{"ip_address": "10.7.0.99"}]
    write(file, project, ports={"p": {"network": lan, "allowed_address_pairs": pairs}})
    run = tenant("apply", "-f", file, code=4)
    assert "allowed_address_pairs" in run.err
    vifguard("user", "delete", project)


def test_the_default_group_of_a_project_that_has_written_nothing_is_declared(
    vifguard: Shell, project: str, file: Path
) -> None:
    rules = [{"direction": "ingress", "protocol": "icmp"}]
    groups = {"app": {"rules": []}, "default": {"description": "ours", "rules": rules}}
    done = vifguard("apply", "-f", write(file, project, security_groups=groups))
    assert f"+ security-group {project}/default" in done.out
    assert vifguard("apply", "-f", file).out == "no changes\n"
    write(file, project, networks={"n": {}})
    pruned = vifguard("apply", "-f", file, "--prune", "--yes").out.splitlines()
    assert [line for line in pruned if line.startswith("-")] == [f"- security-group {project}/app"]


def test_the_page_tells_every_key_but_plain_attributes_and_no_other() -> None:
    page = (ROOT / "docs" / "apply.md").read_text()
    for plural, noun in NOUNS.items():
        section = page.partition(f"### {plural}\n")[2].partition("\n### ")[0]
        rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        told = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
        part = PARTS.get(noun.resource)
        known = {**noun.by_name, **(part.by_name if part else {})}
        plain = {name for name, each in known.items() if each == FileField(name, each.attribute)}
        assert told <= known.keys(), plural
        assert known.keys() - told <= plain, plural
