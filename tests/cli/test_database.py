"""Servers on one PostgreSQL: what one takes in, the other tells at once."""

import threading
from pathlib import Path

import httpx
from command import started
from tests.databases import PostgresqlServer

from vifguard.client.client import Client


def test_two_servers_share_a_database(tmp_path: Path, postgresql_server: PostgresqlServer) -> None:
    with postgresql_server.unmigrated() as where:
        listen = ("serve", "--listen", "127.0.0.1:0", "--database", where)
        with (
            started(*listen, data_dir=tmp_path / "one") as one,
            started(*listen, data_dir=tmp_path / "two") as two,
            Client.from_data_dir(one.data_dir) as first,
            Client.from_data_dir(two.data_dir) as second,
        ):
            body = {"network": {"name": "n", "shared": True}}
            network = first.call("POST", "networks", body=body)["network"]
            assert second.call("GET", f"networks/{network['id']}")["network"] == network
            subnet = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
            second.call("POST", "subnets", body={"subnet": subnet})
            revision = second.call("GET", "feed/h1", query={"after": 0, "timeout": 0})["revision"]
            heard: list[object] = []

            def wait() -> None:
                query = {"after": revision, "timeout": 60}
                heard.append(second.call("GET", "feed/h1", query=query, patience=60))

            waiting = threading.Thread(target=wait)
            waiting.start()
            port = {"network_id": network["id"], "binding:host_id": "h1"}
            made = first.call("POST", "ports", body={"port": port})["port"]
            waiting.join(60)
            assert made["id"] in str(heard)
            assert httpx.get(f"{two.url}/readyz", trust_env=False).json() == {"status": "ok"}
        assert not (tmp_path / "one" / "vifguard.db").exists()
