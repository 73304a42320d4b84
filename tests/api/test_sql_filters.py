"""A list that the database narrows, sorts and cuts is the part of the whole list that it was."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from tests.api.cloud import Cloud, User
from tests.databases import Databases

from vifguard.api.app import RESOURCES, Application
from vifguard.store.queries import lists
from vifguard.store.queries.list_query import NounList
from vifguard.store.store import Store

PATHS = {
    "networks": "networks",
    "subnets": "subnets",
    "ports": "ports",
    "subnetpools": "subnetpools",
    "security_groups": "security-groups",
    "security_group_rules": "security-group-rules",
    "address_groups": "address-groups",
    "rbac_policies": "rbac-policies",
    "ip_groups": "ip-groups",
}
USERS = ("admin", "alice", "bob")
UNFILTERED = {"created_at", "updated_at", "storm", "guards", "held_until"}
SCALARS = (str, bool, type(None))


@pytest.fixture(scope="module")
def cloud(server: tuple[Application, httpx.Client], databases: Databases) -> Iterator[Cloud]:
    """Nobody here writes, so one database of each kind is enough."""
    app, http = server
    before = app.state.store
    with databases.fresh() as where, closing(Store.open(where)) as store:
        app.state.store = store
        yield populated(Cloud(http, store))
        app.state.store = before


def populated(cloud: Cloud) -> Cloud:
    """Some of each noun, with names that are alike, empty, and in no order of bytes."""
    cloud.has_host(groups=True)
    names = ("b", "", "a", "B", "ä", "a", "z z")
    shared = cloud.admin.network("10.9.0.0/16", "fd00:9::/64", shared=True, name="front")
    for at, name in enumerate(names):
        user = (cloud.alice, cloud.bob)[at % 2]
        kept = {"name": name, "description": names[-1 - at]}
        network = user.network(f"10.{at}.0.0/24", **kept, admin_state_up=at != 2)
        user.make("subnet", network_id=network["id"], cidr=f"fd00:{at}::/64", ip_version=6, **kept)
        port = user.make("port", network_id=shared["id"], **kept, device_id=names[at - 1])
        user.make("ip_group", network_id=shared["id"], members=[port["id"]], **kept)
        user.make("address_group", addresses=[f"192.0.2.{at}/32"], **kept)
        group = user.make("security_group", **kept, stateful=at != 1)
        user.make(
            "security_group_rule",
            security_group_id=group["id"],
            direction="ingress",
            remote_group_id=group["id"],
            description=name,
        )
        user.make("subnetpool", prefixes=[f"10.{100 + at}.0.0/16"], **kept)
        kind, mine = (("network", network), ("security_group", group))[at % 2]
        other = "p2" if user is cloud.alice else "p1"
        user.make(
            "rbac_policy",
            object_type=kind,
            object_id=mine["id"],
            action="access_as_shared",
            target_tenant=other,
        )
    return cloud


def whole(user: User, many: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = user.get(PATHS[many])[many]
    return found


def listed(user: User, many: str, **query: Any) -> list[str]:
    return [each["id"] for each in user.get(PATHS[many], **query)[many]]


def asked_as(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize(("many", "name"), list(product(PATHS, USERS)))
def test_a_filter_chooses_what_has_the_value(cloud: Cloud, many: str, name: str) -> None:
    user: User = getattr(cloud, name)
    every = whole(user, many)
    assert every
    keys = {key for key, value in every[0].items() if isinstance(value, SCALARS)}
    for key in sorted(keys & RESOURCES[many].by_name.keys() - UNFILTERED):
        values = sorted({asked_as(each[key]) for each in every} | {""})
        for value in values[:6]:
            if value == "" and isinstance(every[0][key], bool):
                continue
            wanted = [each["id"] for each in every if asked_as(each[key]) == value]
            assert listed(user, many, **{key: value}) == wanted, (key, value)
            # Another user's value is nobody's here, and none of them is two of them.
            assert listed(user, many, **{key: value}, limit=1) == wanted[:1], (key, value)


@pytest.mark.parametrize(("many", "name"), list(product(PATHS, USERS)))
def test_pages_in_any_order_are_the_whole_list(cloud: Cloud, many: str, name: str) -> None:
    user: User = getattr(cloud, name)
    every = whole(user, many)
    assert listed(user, many, limit=len(every)) == [each["id"] for each in every]
    keys = [key for key in ("name", "description", "id", "project_id") if key in every[0]]
    for first, second, down in product(keys, keys, ("asc", "desc")):
        wanted = sorted(every, key=lambda each: each[second])
        wanted.sort(key=lambda each: each[first], reverse=down == "desc")
        ids = [each["id"] for each in wanted]
        sort = {"sort_key": [first, second], "sort_dir": [down, "asc"]}
        found: list[str] = []
        while len(found) < len(ids):
            marker = {"marker": found[-1]} if found else {}
            found += listed(user, many, **sort, **marker, limit=3)
        assert found == ids
        back = listed(user, many, **sort, marker=ids[-1], limit=3, page_reverse="true")
        assert back == ids[:-1][-3:]


@pytest.mark.parametrize("many", PATHS)
def test_the_database_filters_by_attributes_alone(many: str) -> None:
    """A field of a list that no attribute names would filter nothing, and say so nowhere."""
    listed_by: NounList[Any] = getattr(lists, many.upper().replace("SUBNETPOOLS", "SUBNET_POOLS"))
    named = {each.field or each.name for each in RESOURCES[many].attributes}
    assert listed_by.fields.keys() <= named


def test_what_a_user_does_not_see_narrows_nothing(cloud: Cloud) -> None:
    port = whole(cloud.admin, "ports")[0]
    host = port["binding:host_id"]
    assert host
    assert listed(cloud.admin, "ports", **{"binding:host_id": host})
    assert listed(cloud.alice, "ports", **{"binding:host_id": host}) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("networks", "admin_state_up"),
        ("networks", "shared"),
        ("security-groups", "stateful"),
        ("ports", "port_security_enabled"),
        ("subnets", "enable_dhcp"),
    ],
)
def test_a_truth_value_is_never_empty(cloud: Cloud, path: str, name: str) -> None:
    for values in ("", ["", "true"]):
        response = cloud.alice.call("GET", path, params={name: values})
        assert response.status_code == 400
        assert response.json()["NeutronError"]["type"] == "InvalidInput"


@pytest.mark.parametrize("value", ["ip_address", "subnet_id"])
def test_a_port_is_found_by_its_address(cloud: Cloud, value: str) -> None:
    for port in whole(cloud.alice, "ports"):
        for fixed in port["fixed_ips"]:
            found = listed(cloud.alice, "ports", fixed_ips=f"{value}={fixed[value]}")
            assert port["id"] in found
            if value == "ip_address":
                assert found == [port["id"]]
    assert listed(cloud.alice, "ports", fixed_ips="ip_address=192.0.2.77") == []
    assert listed(cloud.alice, "ports", fixed_ips="ip_address=none") == []
    mac = whole(cloud.alice, "ports")[0]
    assert listed(cloud.alice, "ports", mac_address=mac["mac_address"].upper()) == [mac["id"]]
    assert listed(cloud.alice, "ports", mac_address="none") == []


@contextmanager
def statements(store: Store) -> Iterator[list[tuple[str, Any]]]:
    """What SQLAlchemy asks the database within."""
    asked: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        asked.append((given[2], given[3]))

    engine = store._database.reading
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def plan(store: Store, asked: list[tuple[str, Any]], table: str) -> str:
    """How SQLite goes about what is asked of a table."""
    lines: list[str] = []
    with store.autocommit() as snapshot:
        for text, values in asked:
            if f"FROM {table}" in text:
                answer = snapshot.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                lines += [row[3] for row in answer]
    return "\n".join(lines)


@pytest.mark.parametrize("many", ["networks", "subnets", "security_groups", "address_groups"])
@pytest.mark.parametrize(
    ("query", "index"),
    [({"name": "a"}, "name="), ({"limit": 1}, "created_at"), ({"id": "x"}, "id=")],
)
def test_the_database_finds_by_an_index_what_is_asked_for(
    cloud: Cloud, many: str, query: dict[str, Any], index: str
) -> None:
    with statements(cloud.store) as asked:
        cloud.admin.get(PATHS[many], **query)
    if cloud.store._database.reading.dialect.name != "sqlite":
        assert any("WHERE" in text or "LIMIT" in text for text, _ in asked)
        return
    found = plan(cloud.store, asked, many)
    assert index in found
    # A scan is no more than the page: by the index of the order, and cut.
    assert all("INDEX" in line for line in found.splitlines() if line.startswith("SCAN "))
