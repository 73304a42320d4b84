"""Who may do what: every route by every role, every reserved attribute by every standing."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event
from tests.api.cloud import PAIRS, PASSWORDS, Cloud, User, path_of, refusal

from vifguard.api.access import quota
from vifguard.api.access.policy import ACTIONS, Scope, action_policy
from vifguard.api.access.principal import UserRole
from vifguard.api.app import RESOURCES
from vifguard.attributes.schema import ResourceSchema
from vifguard.docs_pages.policy_page import actions, page

NOBODY = "11111111-1111-1111-1111-111111111111"
BY_ROLE = {
    "admin": "admin",
    "member": "alice",
    "reader": "rita",
    "service": "nova",
    "agent": "agent",
}


BY_ROLES = {(role,): user for role, user in BY_ROLE.items()} | {
    pair: name for name, pair in PAIRS.items()
}

ROUTES = [each for each in actions() if not action_policy(each[2]).is_open]


def place(path: str, project: str) -> str:
    """The path of an object that does not exist."""
    where = path.replace("{host}", "h1").replace("{name}", "h1").replace("{alias}", "binding")
    where = where.replace("{project_id}", project)
    return re.sub(r"\{\w+\}", NOBODY, where)


def ask(cloud: Cloud, method: str, path: str, user: str | None) -> httpx.Response:
    return cloud.http.request(
        method,
        place(path, "p1" if user is None else PASSWORDS[user][0]),
        auth=None if user is None else (user, user),
        json={} if method in {"POST", "PUT"} else None,
        params={"timeout": "0"},
    )


def test_every_route_has_a_line_and_every_line_a_route(cloud: Cloud) -> None:
    assert {action for _, _, action in actions()} == ACTIONS.keys()
    document = cloud.http.get("/openapi.json").json()
    served = {
        (method.upper(), path, operation["operationId"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert served == set(actions())


@pytest.mark.parametrize(("method", "path", "action"), ROUTES, ids=[each[2] for each in ROUTES])
def test_every_route_by_every_role(cloud: Cloud, method: str, path: str, action: str) -> None:
    for roles, user in BY_ROLES.items():
        answer = ask(cloud, method, path, user)
        assert answer.status_code < 500
        denied = all(getattr(action_policy(action), role) is Scope.NONE for role in roles)
        assert (answer.status_code == 403) == denied, (roles, answer.text)
        assert answer.status_code != 401
    assert ask(cloud, method, path, None).status_code == 401


def test_what_is_open_asks_for_no_name(cloud: Cloud) -> None:
    for method, path, action in actions():
        if action_policy(action).is_open:
            assert ask(cloud, method, path, None).status_code in {200, 300, 503}


def test_the_page_of_the_table_is_what_the_table_says() -> None:
    printed = Path(__file__).parents[2] / "docs" / "policy.md"
    assert printed.read_text() == page(), (
        "python -m vifguard.docs_pages.policy_page > docs/policy.md"
    )


def test_an_action_that_nobody_listed_is_nobodys(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {action: each for action, each in ACTIONS.items() if action != "list_networks"}
    monkeypatch.setattr("vifguard.api.access.policy.ACTIONS", listed)
    status, kind, message = refusal(cloud.admin.call("GET", "networks"))
    assert (status, kind) == (403, "PolicyNotAuthorized")
    assert "nobody" in message


def test_of_several_roles_the_farthest_counts() -> None:
    member, service = UserRole.MEMBER, UserRole.SERVICE
    assert action_policy("show_port").scope({member}) is Scope.OWN
    assert action_policy("show_port").scope({member, service}) is Scope.ALL
    assert action_policy("show_port").scope(()) is Scope.NONE
    assert action_policy("no_such_action").scope(UserRole) is Scope.NONE


@pytest.fixture
def shared(cloud: Cloud) -> dict[str, Any]:
    return cloud.admin.network("10.0.0.0/24", shared=True)


@pytest.fixture
def own(cloud: Cloud) -> dict[str, Any]:
    cloud.has_host()
    return cloud.alice.network("10.0.0.0/24")


CHOICES: dict[str, Any] = {
    "mac_address": "02:00:00:00:00:77",
    "fixed_ips": [{"ip_address": "10.0.0.77"}],
    "allowed_address_pairs": [{"ip_address": "10.0.0.78"}],
    "port_security_enabled": False,
    "guard_profile": "off",
    "guards": ["mac"],
    "roles": ["dhcp-server"],
    "ethertypes": [0x88B5],
    "storm": {"rate": 10, "burst": 10},
    "binding:vnic_type": "macvtap",
}
OPERATORS: dict[str, Any] = {
    "binding:host_id": "h1",
    "binding:profile": {"interface": "tap0"},
    "device_owner": "network:dhcp",
    "storm": {"rate": 100000, "burst": 10},
    "project_id": "p2",
}


@pytest.mark.parametrize(("name", "value"), [*CHOICES.items(), *OPERATORS.items()])
def test_on_a_shared_network_a_tenant_chooses_nothing_of_this(
    cloud: Cloud, shared: dict[str, Any], name: str, value: Any
) -> None:
    before = cloud.rows()
    answer = cloud.alice.refused("port", network_id=shared["id"], **{name: value})
    policy, bad = (403, "PolicyNotAuthorized"), (400, "HTTPBadRequest")
    assert answer[:2] == (bad if name == "project_id" else policy)
    assert name in answer[2]
    assert "operator" in answer[2]
    assert cloud.rows() == before
    made = cloud.alice.make("port", network_id=shared["id"])
    if name != "project_id":
        before = cloud.rows()
        assert cloud.alice.refused("port", made["id"], **{name: value})[0] == 403
        assert cloud.rows() == before
    assert cloud.admin.make("port", network_id=shared["id"], **{name: value})


RESETS = {
    "mac_address": "02:00:00:00:00:77",
    "allowed_address_pairs": [],
    "port_security_enabled": True,
    "guard_profile": None,
    "guards": None,
    "roles": [],
    "ethertypes": [],
    "storm": None,
    "binding:host_id": "",
    "binding:profile": {},
    "binding:vnic_type": "normal",
}


@pytest.mark.parametrize(("name", "value"), RESETS.items())
def test_resetting_what_the_operator_chose_is_a_choice(
    cloud: Cloud, shared: dict[str, Any], name: str, value: Any
) -> None:
    chosen = {**CHOICES, **OPERATORS, "project_id": "p1"}
    port = cloud.admin.make(
        "port", network_id=shared["id"], project_id="p1", **{name: chosen[name]}
    )
    assert cloud.alice.refused("port", port["id"], **{name: value})[0] == 403


def test_spelling_out_a_default_at_creation_chooses_nothing(
    cloud: Cloud, shared: dict[str, Any]
) -> None:
    defaults = {
        n: v for n, v in RESETS.items() if n not in {"mac_address", "port_security_enabled"}
    }
    del defaults["binding:profile"]
    assert cloud.alice.make("port", network_id=shared["id"], device_owner="", **defaults)


@pytest.mark.parametrize(("name", "value"), CHOICES.items())
def test_on_its_own_network_the_owner_chooses(
    cloud: Cloud, own: dict[str, Any], name: str, value: Any
) -> None:
    assert cloud.alice.make("port", network_id=own["id"], **{name: value})
    made = cloud.alice.make("port", network_id=own["id"])
    other = {"02:00:00:00:00:77": "02:00:00:00:00:79"}.get(str(value), value)
    if name == "fixed_ips":
        other = [{"ip_address": "10.0.0.99"}]
    assert cloud.alice.change("port", made["id"], security_groups=[])
    assert cloud.alice.change("port", made["id"], **{name: other})


@pytest.mark.parametrize(("name", "value"), OPERATORS.items())
def test_on_its_own_network_the_owner_does_not_choose_this(
    cloud: Cloud, own: dict[str, Any], name: str, value: Any
) -> None:
    status = 400 if name == "project_id" else 403
    assert cloud.alice.refused("port", network_id=own["id"], **{name: value})[0] == status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shared", True),
        ("public", True),
        ("provider:network_type", "local"),
        ("provider:physical_network", "physnet1"),
        ("router:external", True),
        ("storm", {"rate": 2000, "burst": 1}),
        ("project_id", "p2"),
    ],
)
def test_a_tenants_network_is_its_own_and_isolated(cloud: Cloud, name: str, value: Any) -> None:
    cloud.has_host()
    assert cloud.alice.refused("network", **{name: value})[0] in {400, 403}
    network = cloud.alice.make("network")
    assert not network["shared"]
    assert cloud.alice.refused("network", network["id"], **{name: value})[0] in {400, 403}


def test_a_network_of_ones_own_needs_hosts_that_hold_it(cloud: Cloud) -> None:
    assert "no host has reported" in cloud.alice.refused("network", name="n")[2]
    cloud.has_host("h1")
    network = cloud.alice.make("network", name="n")
    assert network["project_id"] == "p1"
    cloud.has_host("h2", isolation=False)
    assert cloud.alice.make("network", name="n")
    cloud.has_host("h1", isolation=False)
    status, kind, message = cloud.alice.refused("network", name="n")
    assert (status, kind) == (403, "PolicyNotAuthorized")
    assert "no living host can keep networks apart" in message
    assert cloud.admin.make("network", name="n")


def test_a_shared_network_is_the_operators_whoever_made_it(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    cloud.admin.change("network", network["id"], shared=True)
    assert cloud.alice.refused("network", network["id"], name="mine")[0] == 403
    assert cloud.alice.refused("subnet", network["subnets"][0], name="mine")[0] == 403
    again = {"network_id": network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    assert cloud.alice.refused("subnet", **again)[0] == 403
    assert refusal(cloud.alice.call("DELETE", f"networks/{network['id']}"))[0] == 403
    assert refusal(cloud.bob.call("DELETE", f"subnets/{network['subnets'][0]}"))[0] == 403


def seen_by(user: User, path: str) -> dict[str, Any]:
    """What a user's list has of objects that are not its project's."""
    own = {"p2"}
    listed = user.get(path)
    return {many: [e for e in each if e["project_id"] not in own] for many, each in listed.items()}


def test_what_is_anothers_does_not_exist(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/24")
    port = cloud.alice.make("port", network_id=network["id"])
    group = cloud.alice.make("ip_group", network_id=network["id"], members=[port["id"]])
    cloud.has_host(groups=True)
    security_group = cloud.alice.make("security_group", name="web")
    addresses = cloud.alice.make("address_group", addresses=["192.0.2.0/24"])
    before = cloud.rows()
    kept = {
        "networks": (network["id"], "network", "NetworkNotFound"),
        "subnets": (network["subnets"][0], "subnet", "SubnetNotFound"),
        "ports": (port["id"], "port", "PortNotFound"),
        "ip-groups": (group["id"], "ip_group", "IpGroupNotFound"),
        "security-groups": (security_group["id"], "security_group", "SecurityGroupNotFound"),
        "address-groups": (addresses["id"], "address_group", "AddressGroupNotFound"),
    }
    for path, (key, one, kind) in kept.items():
        where = f"{path}/{key}"
        for answer in (
            cloud.bob.call("GET", where),
            cloud.bob.call("PUT", where, {one: {"name": "x"}}),
            cloud.bob.call("DELETE", where),
        ):
            status, found, message = refusal(answer)
            assert (status, found) == (404, kind)
            nobody = refusal(cloud.bob.call("GET", f"{path}/{NOBODY}"))[2]
            assert message.replace(key, NOBODY) == nobody
        assert seen_by(cloud.bob, path) == {one + "s": []}
    rule = security_group["security_group_rules"][0]["id"]
    assert seen_by(cloud.bob, "security-group-rules") == {"security_group_rules": []}
    for method in ("GET", "DELETE"):
        answer = cloud.bob.call(method, f"security-group-rules/{rule}")
        assert refusal(answer)[:2] == (404, "SecurityGroupRuleNotFound")
    for verb in ("add_addresses", "remove_addresses"):
        where = f"address-groups/{addresses['id']}/{verb}"
        assert refusal(cloud.bob.call("PUT", where, {"addresses": []}))[0] == 404
    for extra in (f"ports/{port['id']}/wait", f"ports/{port['id']}/drops"):
        assert refusal(cloud.bob.call("GET", extra))[0] == 404
    assert refusal(cloud.bob.call("GET", f"ip-groups/{group['id']}/events"))[0] == 404
    assert cloud.bob.refused("port", network_id=network["id"])[1] == "NetworkNotFound"
    here = {"network_id": network["id"], "cidr": "10.9.0.0/24"}
    assert cloud.bob.refused("subnet", **here)[1] == "NetworkNotFound"
    assert cloud.bob.refused("ip_group", network_id=network["id"])[1] == "NetworkNotFound"
    assert cloud.rows() == before


@contextmanager
def statements() -> Iterator[list[str]]:
    """Within, what is asked of the database is listed."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def belongings(cloud: Cloud) -> dict[str, str]:
    """An object of each kind that is Alice's alone: its id, by its collection."""
    cloud.has_host(groups=True)
    alice = cloud.alice
    network = alice.network("10.0.0.0/24")
    port = alice.make("port", network_id=network["id"])
    group = alice.make("ip_group", network_id=network["id"], members=[port["id"]])
    web = alice.make("security_group", name="web")
    addresses = alice.make("address_group", addresses=["192.0.2.0/24"])
    pool = alice.make("subnetpool", name="pool", prefixes=["10.9.0.0/16"])
    policy = alice.make(
        "rbac_policy",
        object_type="security_group",
        object_id=web["id"],
        action="access_as_shared",
        target_tenant="p3",
    )
    return {
        "networks": network["id"],
        "subnets": network["subnets"][0],
        "ports": port["id"],
        "ip-groups": group["id"],
        "security-groups": web["id"],
        "security-group-rules": web["security_group_rules"][0]["id"],
        "address-groups": addresses["id"],
        "subnetpools": pool["id"],
        "rbac-policies": policy["id"],
    }


def body_of(method: str, action: str) -> Any:
    """A body that the action takes."""
    if method not in {"POST", "PUT"}:
        return None
    noun = action.partition("_")[2]
    if noun.endswith("_tags"):
        return {"tags": ["blue"]}
    if noun == "addresses":
        return {"addresses": []}
    return {noun: {"target_tenant": "p4"} if noun == "rbac_policy" else {"description": "x"}}


def test_what_is_anothers_takes_as_long_to_find_as_what_is_not_there(cloud: Cloud) -> None:
    """The same words, and the same questions to the database in the same order: timing too."""
    mine = belongings(cloud)
    before = cloud.rows()
    seen = set()
    for method, path, action in actions():
        collection = path.split("/")[2] if path.count("/") > 2 else ""
        if action_policy(action).member is not Scope.OWN or collection not in mine:
            continue
        body = body_of(method, action)
        asked = []
        for ident in (mine[collection], NOBODY):
            where = re.sub(r"\{\w+_id\}", ident, path.removeprefix("/v2.0/"))
            where = re.sub(r"\{\w+\}", "blue", where)
            with statements() as said:
                answer = cloud.bob.call(method, where, body)
            asked.append((answer.status_code, answer.text.replace(ident, NOBODY), said))
            assert answer.status_code == 404, (action, answer.text)
        assert asked[0] == asked[1], action
        seen.add(collection)
    assert seen == mine.keys()
    assert cloud.rows() == before


STRANGERS = {("member",): "bob", ("reader",): "rob", ("service",): "nova", ("agent",): "agent"}
STRANGERS |= {pair: name for name, pair in PAIRS.items() if "admin" not in pair}


@pytest.mark.parametrize("roles", STRANGERS, ids="+".join)
def test_a_role_opens_anothers_objects_to_its_own_actions_alone(
    cloud: Cloud, roles: tuple[str, ...]
) -> None:
    stranger = User(cloud.http, STRANGERS[roles])
    mine = belongings(cloud)
    for method, path, action in actions():
        collection = path.split("/")[2] if path.count("/") > 2 else ""
        if collection not in mine or "{" not in path:
            continue
        reach = action_policy(action).scope(UserRole(role) for role in roles)
        body = body_of(method, action)
        if action == "update_port" and reach is Scope.ALL:
            body = {"port": {"binding:host_id": "h1"}}
        where = re.sub(r"\{\w+_id\}", mine[collection], path.removeprefix("/v2.0/"))
        where = re.sub(r"\{\w+\}", "blue", where)
        status = stranger.call(method, where, body, params={"timeout": "0"}).status_code
        if reach is Scope.ALL:
            assert status not in {403, 404}, action
            mine = mine if method != "DELETE" else belongings(cloud)
        else:
            assert status == {Scope.OWN: 404, Scope.NONE: 403}[reach], action


def test_an_agent_reaches_its_own_host_alone(cloud: Cloud) -> None:
    """A 1.4: a host read every other's addresses and rules, and spoke for it."""
    cloud.has_host("h1")
    cloud.has_host("h2")
    report = {"host": "h2", "ports": [], "read_back": True}
    before = cloud.rows()
    for answer in (
        cloud.agent.call("GET", "feed/h2?timeout=0"),
        cloud.agent.call("POST", "feed/h2/reports", report),
        cloud.nova.call("GET", "feed/h1?timeout=0"),
        cloud.nova.call("POST", "feed/h1/reports", report | {"host": "h1"}),
        User(cloud.http, "service+agent").call("GET", "feed/h2?timeout=0"),
    ):
        assert refusal(answer)[:2] == (403, "PolicyNotAuthorized")
    assert cloud.rows() == before
    assert refusal(cloud.agent.call("POST", "feed/h1/reports", report))[0] == 400
    assert cloud.agent.call("GET", "feed/h1?timeout=0").status_code == 200
    port = cloud.alice.make("port", network_id=cloud.alice.network()["id"])
    assert cloud.agent.refused("port", port["id"], **{"binding:host_id": "h1"})[0] == 403


def test_a_member_that_is_a_service_too_has_its_own_and_binds_what_is_others(
    cloud: Cloud, shared: dict[str, Any]
) -> None:
    own = cloud.mix.make("port", network_id=shared["id"])
    assert cloud.mix.change("port", own["id"], name="mine")["name"] == "mine"
    assert cloud.mix.change("port", own["id"], **{"binding:host_id": "h1"})
    theirs = cloud.bob.make("port", network_id=shared["id"])
    assert cloud.mix.change("port", theirs["id"], **{"binding:host_id": "h1"})
    assert cloud.mix.refused("port", theirs["id"], name="mine")[0] == 403
    # Neither role alone binds a port as it is made.
    where = {"binding:host_id": "h1"}
    assert cloud.mix.refused("port", network_id=shared["id"], **where)[0] == 403


def test_a_reader_reads(cloud: Cloud, own: dict[str, Any]) -> None:
    assert cloud.rita.get(f"networks/{own['id']}")["network"]["id"] == own["id"]
    assert cloud.rita.refused("port", network_id=own["id"])[0] == 403
    assert refusal(cloud.rita.call("DELETE", f"networks/{own['id']}"))[0] == 403


def test_a_service_binds_and_waits_and_changes_nothing_else(
    cloud: Cloud, shared: dict[str, Any]
) -> None:
    port = cloud.alice.make("port", network_id=shared["id"])
    bound = cloud.nova.change(
        "port",
        port["id"],
        **{"binding:host_id": "h9", "binding:profile": {"interface": "vnet3"}},
    )
    assert bound["binding:host_id"] == "h9"
    assert cloud.nova.refused("port", port["id"], name="x")[0] == 403
    assert cloud.nova.refused("port", port["id"], allowed_address_pairs=[])[0] == 403
    assert refusal(cloud.nova.call("DELETE", f"ports/{port['id']}"))[0] == 403


def test_what_only_the_operator_sees(cloud: Cloud, shared: dict[str, Any]) -> None:
    port = cloud.alice.make("port", network_id=shared["id"])
    assert "binding:host_id" not in port
    assert "binding:host_id" in cloud.admin.get(f"ports/{port['id']}")["port"]
    network = cloud.alice.get(f"networks/{shared['id']}")["network"]
    assert not [name for name in network if name.startswith("provider:")]


def test_a_member_of_the_same_project_is_as_good(cloud: Cloud, own: dict[str, Any]) -> None:
    assert cloud.amy.make("port", network_id=own["id"], mac_address="02:00:00:00:00:01")
    assert cloud.amy.change("network", own["id"], name="ours")["name"] == "ours"


@pytest.mark.parametrize("resource", [*{id(r): r for r in RESOURCES.values()}.values()])
def test_what_may_be_set_is_settable_by_somebody_named(resource: ResourceSchema) -> None:
    names = [attribute.name for attribute in resource.attributes]
    assert len(names) == len(set(names))
    for attribute in resource.attributes:
        for rule in (attribute.post, attribute.put):
            assert rule is None or rule.requirement


def test_a_quota_bounds_a_project_and_not_the_operator(
    cloud: Cloud, shared: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "QUOTA", dict.fromkeys(quota.QUOTA, 2))
    body = {"ports": [{"network_id": shared["id"]}] * 3}
    before = cloud.rows()
    status, kind, message = refusal(cloud.alice.call("POST", "ports", body))
    assert (status, kind) == (409, "OverQuota")
    assert "p1" in message
    assert cloud.rows() == before
    assert cloud.admin.call("POST", "ports", body).status_code == 201


NOT_FOUND = {
    "networks": "NetworkNotFound",
    "ports": "PortNotFound",
    "security-groups": "SecurityGroupNotFound",
    "address-groups": "AddressGroupNotFound",
    "subnetpools": "SubnetPoolNotFound",
}

# What must be the network's own, or the group's: wherever else it is, it is no value.
NO_VALUES = {
    "a port's subnet": (400, "InvalidInput"),
    "a port's subnet and address": (400, "InvalidInput"),
    "an IP group's subnet": (400, "InvalidInput"),
    "who an IP group is pinned to": (400, "HTTPBadRequest"),
}

# Where a body names what is another project's: the object that is made or changed, what it says
# of it, and whose reference that is.
REFERENCES: dict[str, tuple[str, Callable[[str], dict[str, Any]], str]] = {
    "a port's network": ("port", lambda one: {"network_id": one}, "networks"),
    "a subnet's network": (
        "subnet",
        lambda one: {"network_id": one, "cidr": "10.5.0.0/24"},
        "networks",
    ),
    "an IP group's network": ("ip_group", lambda one: {"network_id": one}, "networks"),
    "a port's subnet": ("port", lambda one: {"fixed_ips": [{"subnet_id": one}]}, "subnets"),
    "a port's subnet and address": (
        "port",
        lambda one: {"fixed_ips": [{"subnet_id": one, "ip_address": "10.0.0.9"}]},
        "subnets",
    ),
    "an IP group's subnet": (
        "ip_group",
        lambda one: {"addresses": [{"subnet_id": one}]},
        "subnets",
    ),
    "a port's security groups": ("port", lambda one: {"security_groups": [one]}, "security-groups"),
    "an IP group's members": ("ip_group", lambda one: {"members": [one]}, "ports"),
    "who an IP group is pinned to": ("ip_group", lambda one: {"pinned_port_id": one}, "ports"),
    "a rule's group": (
        "security_group_rule",
        lambda one: {"security_group_id": one},
        "security-groups",
    ),
    "a rule's remote group": (
        "security_group_rule",
        lambda one: {"remote_group_id": one},
        "security-groups",
    ),
    "a rule's remote addresses": (
        "security_group_rule",
        lambda one: {"remote_address_group_id": one},
        "address-groups",
    ),
    "a subnet's pool": ("subnet", lambda one: {"subnetpool_id": one}, "subnetpools"),
    "a shared network": (
        "rbac_policy",
        lambda one: {"object_type": "network", "object_id": one},
        "networks",
    ),
    "a shared security group": (
        "rbac_policy",
        lambda one: {"object_type": "security_group", "object_id": one},
        "security-groups",
    ),
    "a shared address group": (
        "rbac_policy",
        lambda one: {"object_type": "address_group", "object_id": one},
        "address-groups",
    ),
    "a shared subnet pool": (
        "rbac_policy",
        lambda one: {"object_type": "subnetpool", "object_id": one},
        "subnetpools",
    ),
}


@pytest.mark.parametrize("what", REFERENCES)
def test_a_reference_to_what_is_anothers_is_one_to_nothing(cloud: Cloud, what: str) -> None:
    one, fields, collection = REFERENCES[what]
    anothers = belongings(cloud)[collection]
    bob = cloud.bob
    network = bob.network("10.0.0.0/24")
    port = bob.make("port", network_id=network["id"])
    group = bob.make("security_group", name="bobs")
    sound: dict[str, dict[str, Any]] = {
        "port": {"network_id": network["id"]},
        "subnet": {"network_id": network["id"], "ip_version": 4},
        "ip_group": {"network_id": network["id"], "members": [port["id"]]},
        "security_group_rule": {"security_group_id": group["id"], "direction": "ingress"},
        "rbac_policy": {"action": "access_as_shared", "target_tenant": "p3"},
    }
    changed = {
        "port": port["id"],
        "ip_group": bob.make("ip_group", **sound["ip_group"])["id"],
    }
    before = cloud.rows()
    calls = [("POST", path_of(one), sound[one])]
    if one in changed and collection != "networks":
        calls.append(("PUT", f"{path_of(one)}/{changed[one]}", {}))
    for method, path, rest in calls:
        answers = []
        for ident in (anothers, NOBODY):
            with statements() as said:
                answer = bob.call(method, path, {one: rest | fields(ident)})
            assert ident in answer.text
            answers.append((refusal(answer)[:2], answer.text.replace(ident, NOBODY), said))
        assert answers[0] == answers[1]
        assert answers[0][0] == NO_VALUES.get(what, (404, NOT_FOUND.get(collection)))
    assert cloud.rows() == before
