"""`vifguard apply` beside others: what they changed, what got lost, and whose is whose."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Service, Shell

from vifguard.cli.apply.execute import carry_out
from vifguard.cli.apply.plan import plan
from vifguard.cli.apply.separate_requests import MARK
from vifguard.cli.exit_codes import HalfwayError
from vifguard.client.client import Client
from vifguard.client.endpoint import read_data_dir
from vifguard.client.errors import UnreachableError
from vifguard.client.resource import (
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    ResourceType,
)

numbers = itertools.count(1)
PORTS = {f"p{number}": {"network": "n"} for number in range(4)}


class Watched(Client):
    """A client that says what it posts, and has something happen once an answer is there."""

    posted: list[str]
    after: Callable[[str], None]

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = super().call(method, path, **options)
        if method == "POST":
            self.posted.append(path)
            self.after(path)
        return answer


@pytest.fixture
def vifguard(served: Service) -> Shell:
    return served.shell()


@pytest.fixture
def client(served: Service) -> Iterator[Watched]:
    with Watched(read_data_dir(served.data_dir)) as client:
        client.posted = []
        client.after = lambda _: None
        yield client


@pytest.fixture
def project() -> str:
    return f"together{next(numbers)}"


@pytest.fixture
def declare(tmp_path: Path, project: str) -> Callable[..., Path]:
    """Writes a file of the project's nouns."""

    def write(**nouns: Any) -> Path:
        file = tmp_path / "cloud.yaml"
        file.write_text(json.dumps({"projects": {project: nouns}}))
        return file

    return write


def apply(client: Client, file: Path, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Apply a file; what is said where it ends halfway. `meanwhile` is after the plan."""
    steps = plan(client, file, prune=False).steps
    meanwhile()
    try:
        carry_out(client, steps, lambda _: None)
    except HalfwayError as error:
        return str(error)
    return ""


def of(client: Client, resource: ResourceType, project: str) -> list[dict[str, Any]]:
    return client.list(resource, project_id=project)


def test_new_objects_of_a_noun_are_one_request(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    assert not apply(client, declare(networks={"n": {}, "m": {}}, ports=PORTS))
    assert [path for path in client.posted if "tags" not in path] == ["networks", "ports"]
    made = of(client, NETWORK, project) + of(client, PORT, project)
    assert [one["tags"] for one in made] == [[MARK]] * 6


def test_what_somebody_else_changed_since_the_plan_is_not_changed_back(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    apply(client, declare(networks={"n": {"mtu": 1300}}))
    (network,) = of(client, NETWORK, project)
    file = declare(networks={"n": {"mtu": 1400}})
    said = apply(client, file, lambda: client.update(NETWORK, network["id"], {"mtu": 1200}))
    assert f"network {project}/n: it was changed by somebody else since the plan" in said
    assert "nothing was changed" in said
    assert client.show(NETWORK, network["id"])["mtu"] == 1200
    assert not apply(client, file)
    assert client.show(NETWORK, network["id"])["mtu"] == 1400


def test_rules_that_somebody_else_added_since_the_plan_stay(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    apply(client, declare(security_groups={"g": {"rules": []}}))
    group = next(one for one in of(client, SECURITY_GROUP, project) if one["name"] == "g")
    rule = {"direction": "ingress", "protocol": "tcp"}
    body = {"security_group_id": group["id"], "direction": "ingress", "protocol": "udp"}
    file = declare(security_groups={"g": {"description": "new", "rules": [rule]}})
    said = apply(client, file, lambda: client.create(SECURITY_GROUP_RULE, body))
    assert "changed by somebody else" in said
    found = client.show(SECURITY_GROUP, group["id"])
    assert [one["protocol"] for one in found["security_group_rules"]] == ["udp"]
    assert found["description"] == ""


def test_what_is_gone_since_the_plan_is_said(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    apply(client, declare(networks={"n": {"mtu": 1300}}))
    (network,) = of(client, NETWORK, project)
    file = declare(networks={"n": {"mtu": 1400}})
    said = apply(client, file, lambda: client.delete(NETWORK, network["id"]))
    assert "changed by somebody else since the plan" in said


def test_what_the_server_refuses_is_told_in_its_words_and_nobody_is_suspected(
    client: Watched, declare: Callable[..., Path]
) -> None:
    lowered = {"guard_profile": "mac"}
    apply(client, declare(networks={"n": lowered}))
    said = apply(client, declare(networks={"n": {**lowered, "shared": True}}))
    assert "On a shared network the operator alone may choose" in said
    assert "its guard_profile" in said
    assert "somebody else" not in said


def test_what_was_created_without_an_answer_is_found_again_and_taken_back(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    def lose(path: str) -> None:
        if path == "ports":
            raise UnreachableError("no answer in time")

    client.after = lose
    said = apply(client, declare(networks={"n": {}}, ports=PORTS))
    assert f"port {project}/p0 and 3 more: no answer in time" in said
    for name in PORTS:
        assert f"deleted port {project}/{name} again" in said
    assert of(client, NETWORK, project) == of(client, PORT, project) == []


def test_what_somebody_else_changed_before_the_undoing_stays(
    client: Watched, declare: Callable[..., Path], project: str
) -> None:
    apply(client, declare(networks={"n": {"mtu": 1300}, "m": {}}))
    network = next(one for one in of(client, NETWORK, project) if one["name"] == "n")

    def change(path: str) -> None:
        if path == "subnets":
            client.update(NETWORK, network["id"], {"mtu": 1200})

    client.after = change
    same = {"network": "m", "fixed_ips": [{"ip_address": "10.0.0.5"}]}
    file = declare(
        networks={"n": {"mtu": 1400}, "m": {}},
        subnets={"s": {"network": "m", "cidr": "10.0.0.0/24"}},
        ports={"a": same, "b": same},
    )
    said = apply(client, file)
    assert f"port {project}/b:" in said
    assert f"network {project}/n was changed by somebody else meanwhile and is left alone" in said
    assert client.show(NETWORK, network["id"])["mtu"] == 1200


FULL: dict[str, Any] = {
    "quotas": {"port": 7, "network": None},
    "subnet_pools": {"campus": {"prefixes": ["10.20.0.0/16"], "tags": ["blue"]}},
    "networks": {"n": {"tags": ["b", "a"], "shared_with": ["other"]}},
    "subnets": {"s": {"network": "n", "cidr": "10.20.1.0/24", "subnet_pool": "campus"}},
    "security_groups": {"web": {"shared_with": ["other"], "rules": []}},
    "ports": {"p": {"network": "n", "tags": ["red"]}},
}


def test_quotas_pools_tags_and_sharing_are_declared_too(
    vifguard: Shell, client: Watched, declare: Callable[..., Path], project: str
) -> None:
    first = vifguard("apply", "-f", declare(**FULL)).out
    assert f"~ quota {project} (network: 100 -> -1, port: 500 -> 7)" in first
    assert vifguard("apply", "-f", declare(**FULL)).out == "no changes\n"
    (port,) = of(client, PORT, project)
    (network,) = of(client, NETWORK, project)
    assert sorted(port["tags"]) == sorted(["red", MARK])
    assert sorted(network["tags"]) == sorted(["a", "b", MARK])
    changed = FULL | {
        "networks": {"n": {"tags": ["c"], "shared_with": ["third"]}},
        "quotas": {"port": 9},
        "ports": {"p": {"network": "n", "tags": []}},
    }
    said = vifguard("apply", "-f", declare(**changed)).out
    assert "shared_with: [other] -> [third]" in said
    assert "port: 7 -> 9" in said
    assert "tags: [a, b] -> [c]" in said
    assert vifguard("apply", "-f", declare(**changed)).out == "no changes\n"
    assert client.show(PORT, port["id"])["tags"] == [MARK]


def test_what_is_shared_with_a_project_goes_by_its_name_there(
    vifguard: Shell, client: Watched, tmp_path: Path, project: str
) -> None:
    file = tmp_path / "both.yaml"
    owner = FULL | {"networks": {f"n-{project}": {"shared_with": [project]}}}
    owner = {key: owner[key] for key in ("networks",)} | {
        "security_groups": {f"web-{project}": {"shared_with": [project], "rules": []}}
    }
    port = {"network": f"n-{project}", "security_groups": [f"web-{project}"]}
    both = {f"owner-{project}": owner, project: {"ports": {"p": port}}}
    file.write_text(json.dumps({"projects": both}))
    vifguard("apply", "-f", file)
    assert vifguard("apply", "-f", file).out == "no changes\n"
    (made,) = of(client, PORT, project)
    assert made["security_groups"] == [
        one["id"] for one in client.list(SECURITY_GROUP, name=f"web-{project}")
    ]
