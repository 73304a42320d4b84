"""Our answers beside those that Neutron gave when `make diff-neutron` last ran."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.serving import served
from tests.oracles.neutron.asking import World
from tests.oracles.neutron.grammar import cases
from tests.oracles.neutron.page import PAGE, printed
from tests.oracles.neutron.table import explained, recorded

from vifguard.api.app import create_app
from vifguard.api.loopback import Loopback
from vifguard.api.settings import Settings
from vifguard.feed.messages import HostReport, Report
from vifguard.store.store import Store


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Our server with a host that holds security groups, asked as the operator."""
    with closing(Store.open(tmp_path / "store.db")) as store:
        about = HostReport("6.1.0", "ebpf", frozenset({"tcx", "groups"}), (), (), isolation=True)
        store.record_report(Report("h1", about=about))
        app = create_app(store, Loopback(), settings=Settings(requests_per_second=None))
        with served(app) as url, httpx.Client(base_url=url, trust_env=False) as http:

            def ask(method: str, path: str, body: Any) -> tuple[int, Any]:
                answer = http.request(method, f"/v2.0/{path}", json=body)
                return answer.status_code, answer.json() if answer.content else None

            yield World.made(ask)


@pytest.mark.timeout(600)
def test_every_difference_has_its_line_and_every_line_its_difference(world: World) -> None:
    neutrons = recorded()
    every = cases()
    assert [case.key for case in every] == list(neutrons), "run make diff-neutron"
    ours = world.outcomes(every)
    unexplained, idle = explained(neutrons, ours)
    told = [f"{key}: Neutron {neutrons[key]}, ours {ours[key]}" for key in unexplained]
    assert (told, [line.what for line in idle]) == ([], [])


def test_the_page_is_printed_from_the_table() -> None:
    page = PAGE.read_text()
    assert page == printed(page), "python -m tests.oracles.neutron.page"
