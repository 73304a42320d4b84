"""What every resource has: tags, revisions that a client may insist on, times, descriptions."""

from typing import Any

import httpx
import pytest
from tests.api.cloud import Cloud, User, path_of, refusal

NOBODY = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def nouns(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """One of each, of the project of alice."""
    cloud.has_host(groups=True)
    network = cloud.alice.network("10.0.0.0/24")
    group = cloud.alice.make("security_group", name="web")
    made = {
        "network": network,
        "subnet": cloud.alice.get(f"subnets/{network['subnets'][0]}")["subnet"],
        "port": cloud.alice.make("port", network_id=network["id"], tags=["b", "a"]),
        "ip_group": cloud.alice.make("ip_group", network_id=network["id"]),
        "security_group": group,
        "security_group_rule": group["security_group_rules"][0],
        "address_group": cloud.alice.make("address_group"),
        "subnetpool": cloud.alice.make("subnetpool", prefixes=["10.0.0.0/8"]),
    }
    assert made["port"]["tags"] == ["a", "b"]
    cloud.alice.call("DELETE", f"ports/{made['port']['id']}/tags")
    return made


KINDS = (
    *("network", "subnet", "port", "ip_group"),
    *("security_group", "security_group_rule", "address_group", "subnetpool"),
)


@pytest.mark.parametrize("one", KINDS)
def test_tags_come_and_go(cloud: Cloud, nouns: dict[str, dict[str, Any]], one: str) -> None:
    where = f"{path_of(one)}/{nouns[one]['id']}"
    before = cloud.alice.get(where)[one]["revision_number"]
    assert cloud.alice.get(f"{where}/tags") == {"tags": []}
    assert cloud.alice.call("PUT", f"{where}/tags/red").status_code == 201
    assert cloud.alice.call("PUT", f"{where}/tags/red").status_code == 201
    answer = cloud.alice.call("POST", f"{where}/tags", {"tags": ["blue", "red"]})
    assert (answer.status_code, answer.json()) == (200, {"tags": ["blue", "red"]})
    shown = cloud.alice.get(where)[one]
    assert (shown["tags"], shown["revision_number"]) == (["blue", "red"], before + 2)
    assert cloud.alice.call("GET", f"{where}/tags/red").status_code == 204
    missing = refusal(cloud.alice.call("GET", f"{where}/tags/green"))
    assert missing == (404, "TagNotFound", "Tag green could not be found.")
    assert cloud.alice.call("DELETE", f"{where}/tags/red").status_code == 204
    assert refusal(cloud.alice.call("DELETE", f"{where}/tags/red"))[:2] == (404, "TagNotFound")
    answer = cloud.alice.call("PUT", f"{where}/tags", {"tags": ["x", "a"]})
    assert (answer.status_code, answer.json()) == (200, {"tags": ["a", "x"]})
    assert [each["id"] for each in cloud.alice.get(path_of(one), tags="a,x")[f"{one}s"]] == [
        nouns[one]["id"]
    ]
    if one != "security_group_rule":
        assert cloud.alice.change(one, nouns[one]["id"], name="n")["tags"] == ["a", "x"]
    assert cloud.alice.call("DELETE", f"{where}/tags").status_code == 204
    assert cloud.alice.get(f"{where}/tags") == {"tags": []}


@pytest.mark.parametrize("one", KINDS)
def test_anothers_tags_do_not_exist(
    cloud: Cloud, nouns: dict[str, dict[str, Any]], one: str
) -> None:
    where = f"{path_of(one)}/{nouns[one]['id']}/tags"
    before = cloud.rows()
    answers = [
        cloud.bob.call("GET", where),
        cloud.bob.call("PUT", where, {"tags": ["x"]}),
        cloud.bob.call("POST", where, {"tags": ["x"]}),
        cloud.bob.call("DELETE", where),
        *(cloud.bob.call(method, f"{where}/x") for method in ("GET", "PUT", "DELETE")),
    ]
    assert {refusal(answer)[0] for answer in answers} == {404}
    assert refusal(cloud.rita.call("PUT", f"{where}/x"))[0] == 403
    assert cloud.rows() == before


def test_what_is_shared_is_tagged_by_its_owner(cloud: Cloud) -> None:
    network = cloud.admin.make("network", shared=True)
    assert cloud.alice.get(f"networks/{network['id']}/tags") == {"tags": []}
    assert refusal(cloud.alice.call("PUT", f"networks/{network['id']}/tags/x"))[0] == 403


@pytest.mark.parametrize(
    "body", [{}, {"tags": "x"}, {"tags": ["x", "x"]}, {"tags": [1]}, {"tags": ["x" * 256]}]
)
def test_what_is_no_tag(cloud: Cloud, body: dict[str, Any]) -> None:
    network = cloud.admin.make("network")
    where = f"networks/{network['id']}/tags"
    assert refusal(cloud.admin.call("PUT", where, body))[:2] == (400, "InvalidInput")
    assert refusal(cloud.admin.call("PUT", f"{where}/{'x' * 256}"))[0] == 400
    many = {"tags": [str(n) for n in range(51)]}
    assert refusal(cloud.admin.call("PUT", where, many))[:2] == (400, "BadRequest")
    assert cloud.admin.get(where) == {"tags": []}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"tags": "red"}, "ab"),
        ({"tags": "red,blue"}, "b"),
        ({"tags": ["red", "blue"]}, "b"),
        ({"tags-any": "red,green"}, "abc"),
        ({"not-tags": "red,blue"}, "acd"),
        ({"not-tags": "red"}, "cd"),
        ({"not-tags-any": "red,green"}, "d"),
        ({"tags": "red", "not-tags": "blue"}, "a"),
        ({"tags": "purple"}, ""),
    ],
)
def test_lists_by_tags(cloud: Cloud, query: dict[str, Any], names: str) -> None:
    tags = {"a": ["red"], "b": ["red", "blue"], "c": ["green"], "d": []}
    for name, each in tags.items():
        network = cloud.admin.make("network", name=name)
        cloud.admin.call("PUT", f"networks/{network['id']}/tags", {"tags": each})
    found = cloud.admin.get("networks", **query)["networks"]
    assert "".join(network["name"] for network in found) == names


def if_match(user: User, method: str, path: str, tag: str, body: Any = None) -> httpx.Response:
    return user.call(method, path, body, headers={"If-Match": tag})


@pytest.mark.parametrize("one", KINDS)
def test_a_change_may_insist_on_the_revision_it_has_seen(
    cloud: Cloud, nouns: dict[str, dict[str, Any]], one: str
) -> None:
    noun = nouns[one]
    where = f"{path_of(one)}/{noun['id']}"
    now = cloud.alice.get(where)[one]["revision_number"]
    old, new = f'"revision_number={now - 1}"', f"revision_number={now}"
    body = {one: {"name": "x"}}
    before = cloud.rows()
    changes = [("DELETE", where, None), ("PUT", f"{where}/tags", {"tags": ["x"]})]
    if one != "security_group_rule":
        changes.append(("PUT", where, body))
    for method, path, document in changes:
        answer = if_match(cloud.alice, method, path, old, document)
        assert refusal(answer) == (
            412,
            "RevisionNumberConstraintFailed",
            f"Constrained to {now - 1}, but current revision is {now}",
        )
    assert cloud.rows() == before
    if one != "security_group_rule":
        assert if_match(cloud.alice, "PUT", where, new, body).json()[one]["name"] == "x"
        assert if_match(cloud.alice, "PUT", where, new, body).status_code == 412
    assert if_match(cloud.alice, "PUT", f"{where}/tags", "*", {"tags": []}).status_code == 200


@pytest.mark.parametrize("tag", ["revision_number=x", "revision_number=1,revision_number=1"])
def test_a_revision_is_one_number(cloud: Cloud, tag: str) -> None:
    network = cloud.admin.make("network")
    answer = if_match(cloud.admin, "DELETE", f"networks/{network['id']}", tag)
    assert refusal(answer)[0] == 400


def test_lists_of_what_changed_since(cloud: Cloud) -> None:
    network = cloud.admin.make("network")
    at = network["updated_at"]
    for since, found in ((at, 1), (at[:-1], 1), ("2000-01-01T00:00:00Z", 1), ("2100" + at[4:], 0)):
        assert len(cloud.admin.get("networks", changed_since=since)["networks"]) == found
    for bad in ("yesterday", "", "2026-01-01", f"{at}\n"):
        answer = cloud.admin.call("GET", "networks", params={"changed_since": bad})
        assert refusal(answer)[:2] == (400, "InvalidInput")
    assert refusal(cloud.admin.call("GET", "hosts?changed_since=x"))[0] == 400


@pytest.mark.parametrize(
    "path", ["networks", "ports", "quotas", "subnetpools", "rbac-policies", "security-groups"]
)
def test_nothing_is_called_nul(cloud: Cloud, path: str) -> None:
    """PostgreSQL takes no NUL in a text: the question must not reach it."""
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {})):
        assert refusal(cloud.admin.call(method, f"{path}/a%00b", body))[0] == 404
    for query in ("id=%00", "name=a%00", "%00=x"):
        assert refusal(cloud.admin.call("GET", f"{path}?{query}"))[0] == 400


def test_ports_by_addresses(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)
    v4, v6 = network["subnets"]
    for n in (5, 6, 51):
        wish = [{"ip_address": f"10.0.0.{n}"}, {"ip_address": f"2001:db8::{n}"}]
        cloud.admin.make("port", network_id=network["id"], name=str(n), fixed_ips=wish)

    def found(*fixed: str) -> str:
        query = [("fixed_ips", each) for each in fixed]
        answer = cloud.admin.call("GET", "ports", params=query)
        return " ".join(port["name"] for port in answer.json()["ports"])

    assert found("ip_address=10.0.0.5") == "5"
    assert found("ip_address=10.0.0.5", "ip_address=10.0.0.6") == "5 6"
    assert found("ip_address=2001:DB8:0::51") == "51"
    assert found(f"subnet_id={v4}", "ip_address=10.0.0.6") == "6"
    assert found(f"subnet_id={v6}", "ip_address=10.0.0.6") == ""
    assert found(f"subnet_id={v6}", f"subnet_id={v4}") == "5 6 51"
    assert found("ip_address_substr=0.0.5") == "5 51"
    assert found("ip_address_substr=db8::6", f"subnet_id={v6}") == "6"
