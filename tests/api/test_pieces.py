"""Wide address pairs in security groups: what is said where they count for nothing."""

from ipaddress import ip_address
from typing import Any

from tests.api.cloud import Cloud

FIRST = int(ip_address("fd00::"))


def test_pairs_that_break_into_too_many_pieces_are_told_with_their_port(cloud: Cloud) -> None:
    cloud.has_host(groups=True)
    network = cloud.alice.network("fd00::/64")["id"]
    pairs = [{"ip_address": "fd00::/64"}]
    wide = cloud.alice.make("port", network_id=network, allowed_address_pairs=pairs)
    cloud.enforces(wide)

    def reasons(port: dict[str, Any]) -> set[str]:
        (listed,) = cloud.alice.get("ports", id=port["id"])["ports"]
        shown = cloud.alice.get(f"ports/{port['id']}")["port"]
        return {listed["status_reason"], shown["status_reason"]}

    assert reasons(wide) == {""}
    made = []
    for n in range(1, 41):
        address = str(ip_address(FIRST + 7 + (n << 40)))
        made.append(
            cloud.alice.make("port", network_id=network, fixed_ips=[{"ip_address": address}])
        )
    cloud.enforces(made[0])
    (why,) = reasons(wide)
    assert "do not count in security groups" in why
    assert "break into more than 1024 pieces" in why
    assert reasons(made[0]) == {""}
    for port in made[20:]:
        cloud.alice.call("DELETE", f"ports/{port['id']}")
    assert reasons(wide) == {""}


def test_a_port_has_few_wide_pairs_and_many_single_addresses(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.alice.network("10.0.0.0/16")["id"]

    def pairs(wide: int, single: int) -> list[dict[str, str]]:
        ranges = [{"ip_address": f"10.1.{n}.0/24"} for n in range(wide)]
        return ranges + [{"ip_address": f"10.0.9.{n}"} for n in range(1, single + 1)]

    status, kind, message = cloud.alice.refused(
        "port", network_id=network, allowed_address_pairs=pairs(11, 0)
    )
    assert (status, kind) == (400, "HTTPBadRequest")
    assert "more than 10 pairs have a prefix of more than one address" in message
    cloud.alice.make("port", network_id=network, allowed_address_pairs=pairs(10, 54))
