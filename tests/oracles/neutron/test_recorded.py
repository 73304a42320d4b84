"""Our answers beside those that Neutron gave when `make diff-neutron` last ran."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.api.serving import served
from tests.oracles.neutron.asking import World
from tests.oracles.neutron.grammar import cases
from tests.oracles.neutron.page import PAGE, printed
from tests.oracles.neutron.table import attributes, compared, lines, recorded
from tests.oracles.neutron.world import asking

from vifguard.api.app import create_app
from vifguard.api.auth.local_auth import LocalAuth
from vifguard.api.settings import Settings
from vifguard.feed.messages import HostReport, Report
from vifguard.store.store import Store


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Our server with a host that holds security groups, asked as the operator."""
    with closing(Store.open(tmp_path / "store.db")) as store:
        about = HostReport("6.1.0", "ebpf", frozenset({"tcx", "groups"}), (), (), isolation=True)
        store.record_report(Report("h1", about=about))
        app = create_app(store, LocalAuth(), settings=Settings(requests_per_second=None))
        with served(app) as url, asking(int(url.rpartition(":")[2])) as ask:
            yield World.stood(ask)


@pytest.mark.timeout(600)
def test_every_difference_has_its_line_and_every_line_its_difference(world: World) -> None:
    every, neutrons = cases(), recorded()
    assert [case.key for case in every] == list(neutrons), "run make diff-neutron"
    finding = compared(every, neutrons, world.outcomes(every))
    assert (finding.unexplained, finding.idle) == ([], [])


def test_no_line_hides_what_it_was_not_written_for() -> None:
    """A line names what is asked, and of one server at least the status of its answer."""
    for line in lines():
        for pattern in line.cases:
            assert len(pattern.replace("*", "").strip()) >= 4, (line.what, pattern)
        told = [answer for answer in (line.neutron, line.ours) if answer not in {"*", "*, * made"}]
        assert told, line.what
        assert all(re.match(r"0 \?|[2-5][0-9](\d|\*)", answer) for answer in told), line.what
        if line.neutron[:3] == line.ours[:3] == "400" and " and " not in line.cases[0]:
            assert "*" not in line.neutron + line.ours, f"{line.what}: the types of a 400"
        assert line.reason.endswith(".")
    assert all(each.reason.endswith(".") for each in attributes())


def test_the_page_is_printed_from_the_table() -> None:
    page = PAGE.read_text()
    assert page == printed(page), "python -m tests.oracles.neutron.page"
