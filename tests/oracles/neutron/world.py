"""What stands on a server before it is asked: of each resource some, as unlike as may be."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any, Final

Ask = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path below /v2.0/ and body, as an object or as bytes, to status and document."""

PATIENCE: Final = 12.0
"""Seconds: some requests end in retries of Neutron's that go on for minutes."""


@contextmanager
def asking(port: int) -> Iterator[Ask]:
    """How to ask a server on a port of loopback; a connection that ends is made again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(method: str, path: str, body: Any) -> tuple[int, Any]:
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if sent is None else {"Content-Type": "application/json"}
        for again in (True, False):
            try:
                connection.request(method, f"/v2.0/{path}", sent, headers)
                answer = connection.getresponse()
                return answer.status, _document(answer.read())
            except TimeoutError:
                connection.close()
                return 0, "no answer"
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                if not again:
                    raise
        raise AssertionError

    with closing(connection):
        yield ask


def _document(told: bytes) -> Any:
    try:
        return json.loads(told)
    except ValueError:
        return told.decode(errors="replace")


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """A value with ids for the words in braces."""
    match value:
        case str():
            return ids.get(value[1:-1], value) if value.startswith("{") else value
        case list():
            return [filled(each, ids) for each in value]
        case dict():
            return {name: filled(each, ids) for name, each in value.items()}
    return value


def stand(ask: Ask) -> dict[str, str]:
    """The ids of the objects that cases refer to, made on a server that has none, by their words.

    Raises RuntimeError where the server does not take one.
    """
    ids: dict[str, str] = {}
    for word, path, fields in _WORLD:
        one = _ONE[path]
        status, told = ask("POST", path, {one: filled(fields, ids)})
        if status != 201:
            raise RuntimeError(f"{word}: {status} {told}")
        ids[word] = told[one]["id"]
        ids["project"] = told[one]["project_id"]
    for word, path in _TAGGED:
        ask("PUT", f"{path}/{ids[word]}/tags", {"tags": ["red"]})
    return ids


_ONE: Final = {
    "networks": "network",
    "subnets": "subnet",
    "ports": "port",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "address-groups": "address_group",
    "subnetpools": "subnetpool",
    "rbac-policies": "rbac_policy",
}
_FRONT: Final = {"network_id": "{network}"}
_OPEN: Final = {"network_id": "{open}"}
_SLAAC: Final = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
_WEB: Final = {"security_group_id": "{group}"}

_WORLD: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("network", "networks", {"name": "front", "description": "first"}),
    ("empty", "networks", {"name": "empty"}),
    ("lonely", "networks", {"name": "lonely"}),
    (
        "open",
        "networks",
        {
            "name": "open",
            "shared": True,
            "router:external": True,
            "mtu": 1400,
            "admin_state_up": False,
            "port_security_enabled": False,
            "provider:network_type": "flat",
            "provider:physical_network": "public",
        },
    ),
    ("subnet", "subnets", _FRONT | {"name": "four", "ip_version": 4, "cidr": "192.0.2.0/24"}),
    ("subnet6", "subnets", _FRONT | {"name": "six", "ip_version": 6, "cidr": "2001:db8::/64"}),
    (
        "still",
        "subnets",
        _OPEN
        | {"ip_version": 4, "cidr": "198.51.100.0/24", "description": "first"}
        | {"enable_dhcp": False, "service_types": ["compute:nova"]},
    ),
    ("slaac", "subnets", _OPEN | _SLAAC | {"ip_version": 6, "cidr": "2001:db8:1::/64"}),
    ("group", "security-groups", {"name": "web", "description": "first"}),
    ("database", "security-groups", {"name": "database", "stateful": False}),
    ("addresses", "address-groups", {"name": "far", "addresses": ["10.0.0.0/8"]}),
    ("nowhere", "address-groups", {"name": "nowhere", "description": "first"}),
    (
        "ssh",
        "security-group-rules",
        _WEB
        | {"direction": "ingress", "protocol": "tcp", "description": "first"}
        | {"port_range_min": 22, "port_range_max": 22, "remote_ip_prefix": "10.1.2.3/24"},
    ),
    (
        "members",
        "security-group-rules",
        _WEB | {"direction": "ingress", "ethertype": "IPv6", "remote_group_id": "{group}"},
    ),
    (
        "known",
        "security-group-rules",
        _WEB | {"direction": "ingress", "remote_address_group_id": "{addresses}"},
    ),
    (
        "pool",
        "subnetpools",
        {"name": "pool", "prefixes": ["10.32.0.0/16"], "default_prefixlen": 24},
    ),
    (
        "pool6",
        "subnetpools",
        {"name": "six", "prefixes": ["2001:db8:8::/48"], "is_default": True, "shared": True}
        | {"description": "first"},
    ),
    (
        "policy",
        "rbac-policies",
        {"object_type": "network", "object_id": "{network}"}
        | {"action": "access_as_shared", "target_tenant": "8" * 32},
    ),
    (
        "one",
        "ports",
        _FRONT
        | {"name": "one", "device_id": "vm", "device_owner": "compute:nova"}
        | {"mac_address": "fa:16:3e:00:01:01", "security_groups": ["{group}"]}
        | {"fixed_ips": [{"ip_address": "192.0.2.11"}, {"ip_address": "2001:db8::11"}]},
    ),
    (
        "two",
        "ports",
        _FRONT
        | {"name": "two", "description": "first", "admin_state_up": False}
        | {"binding:vnic_type": "macvtap", "fixed_ips": [{"ip_address": "192.0.2.12"}]}
        | {"mac_address": "fa:16:3e:00:01:02", "binding:host_id": "h2"},
    ),
    (
        "three",
        "ports",
        _OPEN | {"name": "three", "mac_address": "fa:16:3e:00:01:03", "fixed_ips": []},
    ),
)
_TAGGED: Final = (
    *(("network", "networks"), ("subnet", "subnets"), ("one", "ports")),
    *(("group", "security-groups"), ("ssh", "security-group-rules"), ("pool", "subnetpools")),
    ("addresses", "address-groups"),
)
