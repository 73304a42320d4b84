"""One agent a network namespace: bridges, quarantine and member filter are known by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import within
from tests.agent.ports import port, port_id

from vifguard.agent.agent import Agent
from vifguard.agent.host.only_agent import only_agent
from vifguard.agent.host.restore import restore
from vifguard.agent.host.teardown import teardown
from vifguard.agent.settings import Settings
from vifguard.enforce.driver.protocol import HeldError
from vifguard.enforce.drivers import DriverSettings
from vifguard.feed.messages import Report, ReportAnswer, Update

pytestmark = pytest.mark.kernel


class SilentFeed:
    """A server that never says anything."""

    def next(self, _instance: str, _after: int, _timeout: float) -> Update | None:
        return None

    def report(self, _report: Report) -> ReportAnswer:
        return ReportAnswer()


def run_agent(settings: Settings) -> None:
    """An agent that is told to stop before it starts: it would only look."""
    stop = threading.Event()
    stop.set()
    Agent(SilentFeed(), "second", settings).run(stop)


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts() as host:
        host.guest(1).plug()
        host.ports = {port_id(1): port(1)}
        host.start()
        host.enforced(1)
        yield host


@pytest.mark.parametrize("work", [run_agent, teardown, restore])
def test_a_second_process_is_refused_before_it_touches_anything(
    host: Host, tmp_path: Path, work: Callable[[Settings], object]
) -> None:
    """With pins elsewhere it deleted the first one's bridges, again and again."""
    elsewhere = host.bpf_dir.with_name(f"{host.bpf_dir.name}-second")
    second = replace(host.settings, drivers=DriverSettings(elsewhere), record=tmp_path / "record")
    before = host.guards(), host.links(), host.nft("list", "ruleset")
    assert host.agent
    with pytest.raises(HeldError, match=rf"^process {host.agent.pid} holds .* stop it first"):
        within(host.name, lambda: work(second))
    assert (host.guards(), host.links(), host.nft("list", "ruleset")) == before
    assert not elsewhere.exists()


def test_an_agent_that_is_killed_leaves_the_namespace_free_at_once(host: Host) -> None:
    host.kill()
    with within(host.name, only_agent):
        pass
    host.start()
    host.enforced(1)


def test_an_agent_in_another_namespace_is_not_hindered(host: Host) -> None:
    with hosts() as other:
        other.guest(2).plug()
        other.ports = {port_id(2): port(2)}
        other.start()
        other.enforced(2)
    host.set(port(1))
    host.enforced(1)


def test_a_user_with_other_rights_who_has_the_name_locks_nobody_out(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel lets everybody take it; here it is the agent that is somebody else."""
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    with within(host.name, only_agent):
        assert "it is not locked" in caplog.text
