"""No identity: whoever asks this machine by its own name is the operator, and nobody else."""

from collections.abc import Iterator

import httpx
import pytest
from tests.api.serving import served

from vifguard.api.app import create_app
from vifguard.api.auth.local_auth import LocalAuth
from vifguard.store.store import Store


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = Store.open(tmp_path_factory.mktemp("loopback") / "store.db")
    with (
        served(create_app(store, LocalAuth())) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client
    store.close()


@pytest.mark.parametrize(
    "host", ["", "localhost", "LOCALHOST:9696", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:80"]
)
def test_a_name_of_this_machine_is_enough(http: httpx.Client, host: str) -> None:
    headers = {"Host": host} if host else {}
    assert http.get("/v2.0/hosts", headers=headers).json() == {"hosts": []}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:80",
     "192.0.2.1", "localhost:", "[::1", "2130706433", "xlocalhost"],
)  # fmt: skip
def test_a_page_whose_name_was_made_to_point_here_reads_nothing(
    http: httpx.Client, host: str
) -> None:
    assert http.get("/v2.0/networks", headers={"Host": host}).status_code in {400, 401}


def test_a_page_in_a_browser_changes_nothing(http: httpx.Client) -> None:
    """What a page may send elsewhere without asking first is no JSON document."""
    body = b'{"network": {"name": "x"}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = http.post("/v2.0/networks", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 415
    assert http.get("/v2.0/networks").json() == {"networks": []}
