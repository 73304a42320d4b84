"""`vifguard apply --prune`: what a file made goes, and nothing that others made goes along."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command import Run, Service, Shell

from vifguard.cli.apply.execute import carry_out
from vifguard.cli.apply.plan import plan
from vifguard.cli.exit_codes import HalfwayError
from vifguard.client.client import Client
from vifguard.client.endpoint import read_data_dir
from vifguard.client.resource import (
    ADDRESS_GROUP,
    IP_GROUP,
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNET,
    SUBNET_POOL,
    ResourceType,
)

numbers = itertools.count(1)

NO_ADDRESS: Mapping[str, Any] = {"network": "n", "fixed_ips": []}
EVERYTHING: Mapping[str, Any] = {
    "subnet_pools": {"pool": {"prefixes": ["10.20.0.0/16"]}},
    "networks": {"n": {}},
    "subnets": {"s": {"network": "n", "cidr": "10.10.1.0/24"}},
    "address_groups": {"a": {"addresses": ["192.0.2.0/24"]}},
    "security_groups": {"g": {"rules": []}},
    "ports": {"p": {**NO_ADDRESS, "security_groups": ["g"]}},
    "ip_groups": {"i": {"network": "n", "members": ["p"]}},
}
REST: Mapping[str, Any] = {"networks": {"rest": {}}}
NOUNS = (SUBNET_POOL, NETWORK, SUBNET, ADDRESS_GROUP, SECURITY_GROUP, PORT, IP_GROUP)


@pytest.fixture
def client(served: Service) -> Iterator[Client]:
    with Client(read_data_dir(served.data_dir)) as client:
        yield client


@pytest.fixture
def project() -> str:
    return f"prune{next(numbers)}"


@pytest.fixture
def write(tmp_path: Path, project: str) -> Callable[..., Path]:
    """Writes a file of the project's nouns."""

    def write(**nouns: Any) -> Path:
        file = tmp_path / "cloud.yaml"
        file.write_text(json.dumps({"projects": {project: nouns}}))
        return file

    return write


@pytest.fixture
def ids(
    served: Service, client: Client, write: Callable[..., Path], project: str
) -> dict[str, str]:
    """Everything that a file can declare, applied: the ids by name."""
    served.shell()("apply", "-f", write(**EVERYTHING))
    return {one["name"]: one["id"] for noun in NOUNS for one in of(client, noun, project)}


@pytest.fixture
def prune(served: Service, write: Callable[..., Path]) -> Callable[..., Run]:
    """Applies a file of the project's nouns, and prunes."""

    def prune(*options: str, **nouns: Any) -> Run:
        return served.shell()("apply", "-f", write(**nouns), "--prune", "--yes", *options)

    return prune


def of(client: Client, resource: ResourceType, project: str) -> list[dict[str, Any]]:
    return client.list(resource, project_id=project)


def names(client: Client, project: str) -> set[str]:
    return {one["name"] for noun in NOUNS for one in of(client, noun, project)} - {
        "default",
        "rest",
    }


def rule_of(client: Client, group: str, **values: Any) -> dict[str, Any]:
    return client.create(
        SECURITY_GROUP_RULE, {"security_group_id": group, "direction": "ingress", **values}
    )


By = Callable[[Client, Mapping[str, str], str], object]


def subnet_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    body = {"network_id": ids["n"], "cidr": "10.30.0.0/24", "ip_version": 4, "name": "hand"}
    return client.create(SUBNET, body | {"project_id": project})


def pool_used_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    other = client.create(NETWORK, {"name": "other", "project_id": project})["id"]
    body = {"network_id": other, "subnetpool_id": ids["pool"], "cidr": "10.20.7.0/24"}
    return client.create(SUBNET, body | {"ip_version": 4, "name": "hand", "project_id": project})


def port_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    fixed = [{"subnet_id": ids["s"]}]
    body = {"network_id": ids["n"], "name": "hand", "fixed_ips": fixed, "project_id": project}
    return client.create(PORT, body)


def dhcp_port_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    """The port of a DHCP server, which the server would delete with its network."""
    body = {"network_id": ids["n"], "name": "hand", "project_id": project}
    fixed = [{"subnet_id": ids["s"]}]
    return client.create(PORT, body | {"device_owner": "network:dhcp", "fixed_ips": fixed})


def rule_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    body = {"name": "hand", "project_id": project}
    return rule_of(
        client, client.create(SECURITY_GROUP, body)["id"], remote_group_id=ids["g"], protocol="tcp"
    )


def address_rule_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    body = {"name": "hand", "project_id": project}
    group = client.create(SECURITY_GROUP, body)["id"]
    return rule_of(client, group, remote_address_group_id=ids["a"], protocol="tcp")


def group_by_hand(client: Client, ids: Mapping[str, str], project: str) -> object:
    body = {"network_id": ids["n"], "name": "hand", "members": [ids["p"]], "project_id": project}
    return client.create(IP_GROUP, body)


@pytest.mark.parametrize(
    ("by_hand", "stay"),
    [
        (subnet_by_hand, {"n"}),
        (pool_used_by_hand, {"pool", "other"}),
        (port_by_hand, {"n", "s"}),
        (dhcp_port_by_hand, {"n", "s"}),
        (rule_by_hand, {"g"}),
        (address_rule_by_hand, {"a"}),
        (group_by_hand, {"n", "p", "g"}),
    ],
)
def test_nothing_goes_along_that_apply_did_not_make(
    client: Client,
    prune: Callable[..., Run],
    ids: dict[str, str],
    project: str,
    by_hand: By,
    stay: set[str],
) -> None:
    by_hand(client, ids, project)
    run = prune(**REST)
    assert f"{project}/hand refers to it" in run.err
    assert names(client, project) == stay | {"hand"}
    again = prune("--json", **REST).json
    assert again["changes"] == []
    assert {one["name"] for one in again["kept"]} == stay - {"other"}


def test_a_rule_that_names_a_group_outlives_the_pruning_of_it(
    client: Client, prune: Callable[..., Run], ids: dict[str, str], project: str
) -> None:
    rule: Any = rule_by_hand(client, ids, project)
    prune(**REST)
    assert client.show(SECURITY_GROUP_RULE, rule["id"])["remote_group_id"] == ids["g"]


def test_what_the_file_refers_to_by_name_stays_and_what_it_lets_go_goes(
    client: Client, prune: Callable[..., Run], ids: dict[str, str], project: str
) -> None:
    assert ids
    run = prune(ports={"p": {**NO_ADDRESS, "security_groups": []}, "q": NO_ADDRESS})
    assert f"network {project}/n is kept: " in run.err
    assert f"port {project}/q is declared to refer to it" in run.err
    assert names(client, project) == {"n", "p", "q"}


def test_what_came_to_it_since_the_plan_stays(
    client: Client, write: Callable[..., Path], ids: dict[str, str], project: str
) -> None:
    for by_hand, made_of, noun in (
        (subnet_by_hand, SUBNET, NETWORK),
        (dhcp_port_by_hand, PORT, NETWORK),
        (dhcp_port_by_hand, PORT, SUBNET),
        (rule_by_hand, SECURITY_GROUP_RULE, SECURITY_GROUP),
    ):
        steps = plan(client, write(**REST), prune=True).steps
        made: Any = by_hand(client, ids, project)
        with pytest.raises(HalfwayError, match="refers to it since the plan was made"):
            carry_out(client, [one for one in steps if one.resource == noun], lambda _: None)
        client.delete(made_of, made["id"])


def test_what_another_project_was_given_is_not_taken_from_it(
    served: Service, client: Client, write: Callable[..., Path], tmp_path: Path, project: str
) -> None:
    operator = served.shell()
    operator(
        *("user", "create", project, "--project", project),
        *("--clouds-file", tmp_path / "clouds.yaml"),
    )
    tenant = Shell({"VIFGUARD_DATA_DIR": str(tmp_path)})
    shared = {"web": {"rules": [], "shared_with": ["acme"]}}
    tenant("apply", "-f", write(security_groups=shared))
    (web,) = (one for one in of(client, SECURITY_GROUP, project) if one["name"] == "web")
    theirs = client.create(SECURITY_GROUP, {"name": "theirs", "project_id": "acme"})["id"]
    rule = rule_of(client, theirs, remote_group_id=web["id"], protocol="tcp")
    run = tenant("apply", "-f", write(), "--prune", "--yes", code=1)
    assert "acme" in run.err
    assert client.show(SECURITY_GROUP_RULE, rule["id"])["remote_group_id"] == web["id"]
    client.delete(SECURITY_GROUP_RULE, rule["id"])
    rest = {"rest": {"rules": []}}
    tenant("apply", "-f", write(security_groups=rest), "--prune", "--yes")
    assert "web" not in names(client, project)
