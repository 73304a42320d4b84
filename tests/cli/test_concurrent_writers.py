"""Many writers over HTTP at two servers on one database: nobody is refused, nothing is lost."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
from command import Service, started
from tests.databases import PostgresqlServer

WRITERS = 16
BULK = 20


def client(service: Service) -> httpx.Client:
    """The operator at a server; its first request may wait for those of others."""
    password = (service.data_dir / "admin-password").read_text().strip()
    return httpx.Client(
        base_url=f"{service.url}/v2.0/", auth=("admin", password), trust_env=False, timeout=120
    )


def write(service: Service, network: str, many: int) -> list[dict[str, Any]]:
    """Create so many ports, one at a time and several at once in turn."""
    made: list[dict[str, Any]] = []
    wanted = {"network_id": network}
    with client(service) as http:
        for size in cycle([1] * BULK + [BULK]):
            if len(made) == many:
                break
            if size == 1:
                answer = http.post("ports", json={"port": wanted})
            else:
                size = min(size, many - len(made))  # noqa: PLW2901  the last may be smaller
                answer = http.post("ports", json={"ports": [wanted] * size})
            assert answer.status_code == 201, answer.text
            found = answer.json()
            made += found["ports"] if "ports" in found else [found["port"]]
    return made


def test_sixteen_writers_at_two_servers_never_get_the_same_address(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    """VIFGUARD_MANY=10000 for the whole of it; fewer show the same."""
    many = int(os.environ.get("VIFGUARD_MANY", "960"))
    with postgresql_server.fresh() as where:
        serve = ("serve", "--listen", "127.0.0.1:0", "--database", where)
        with (
            started(*serve, data_dir=tmp_path / "one") as one,
            started(*serve, data_dir=tmp_path / "other") as other,
            client(one) as http,
            client(other) as elsewhere,
            ThreadPoolExecutor(WRITERS) as writers,
        ):
            network = http.post("networks", json={"network": {}}).json()["network"]["id"]
            subnet = {"network_id": network, "cidr": "10.0.0.0/16", "ip_version": 4}
            assert http.post("subnets", json={"subnet": subnet}).status_code == 201
            work = [
                writers.submit(write, (one, other)[number % 2], network, many // WRITERS)
                for number in range(WRITERS)
            ]
            made = {port["id"]: port for each in work for port in each.result()}
            assert len(made) == many // WRITERS * WRITERS
            for field in ("fixed_ips", "mac_address"):
                assert len({str(port[field]) for port in made.values()}) == len(made)
            for each in (http, elsewhere):
                listed = each.get("ports", params={"network_id": network}).json()["ports"]
                assert {port["id"]: port["fixed_ips"] for port in listed} == {
                    key: port["fixed_ips"] for key, port in made.items()
                }
                assert len(listed) == len(made)
