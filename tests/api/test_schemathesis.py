"""What nobody wrote, made by schemathesis from the OpenAPI document: no answer is a 5xx.

Ids that a request names are mostly those of objects that exist: strange values then reach what
is behind the first look-up.
"""

from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from tests.api.cloud import Cloud

from vifguard.api.app import create_app
from vifguard.store.store import Store

# The document is the application's alone; there is nothing to ask of a store.
schema = schemathesis.openapi.from_dict(create_app(cast("Store", None)).openapi)

Ids = dict[str, str]


@pytest.fixture
def ids(cloud: Cloud) -> Ids:
    """One object of each kind: its id, by the collection in the path and by the attribute."""
    cloud.has_host(groups=True)
    admin = cloud.admin
    network = admin.network("10.0.0.0/24", shared=True)
    port = admin.make("port", network_id=network["id"])
    group = admin.make("ip_group", network_id=network["id"], members=[port["id"]])
    web = admin.make("security_group", name="web")
    addresses = admin.make("address_group", addresses=["192.0.2.0/24"])
    return {
        "networks": network["id"],
        "network_id": network["id"],
        "subnets": network["subnets"][0],
        "subnet_id": network["subnets"][0],
        "ports": port["id"],
        "ip-groups": group["id"],
        "security-groups": web["id"],
        "security_group_id": web["id"],
        "remote_group_id": web["id"],
        "security-group-rules": web["security_group_rules"][0]["id"],
        "address-groups": addresses["id"],
        "remote_address_group_id": addresses["id"],
        "hosts": "h1",
        "feed": "h1",
    }


def grounded(value: Any, ids: Ids) -> Any:
    """A body whose references are to what exists."""
    if isinstance(value, dict):
        return {
            name: ids[name] if name in ids and isinstance(inner, str) else grounded(inner, ids)
            for name, inner in value.items()
        }
    return [grounded(inner, ids) for inner in value] if isinstance(value, list) else value


@schema.parametrize()
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_too_strange(case: Case, cloud: Cloud, ids: Ids) -> None:
    collection = case.path.removeprefix("/v2.0/").partition("/")[0]
    for name in case.path_parameters or ():
        if collection in ids:
            case.path_parameters[name] = ids[collection]
    case.body = grounded(case.body, ids)
    case.call_and_validate(
        base_url=str(cloud.http.base_url),
        checks=[not_a_server_error],
        auth=("admin", "admin"),
        params={"timeout": "0"},
    )
