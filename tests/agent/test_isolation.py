"""Whether a host can keep networks apart, which its settings change while the agent runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import within
from tests.agent.ports import bridge_of, legal, port, port_id, tap_of

from vifguard.feed.messages import HostReport
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel

ISOLATED = {"shared": False, "mtu": 1500}
SWITCH = "/proc/sys/net/bridge/bridge-nf-call-iptables"


@pytest.fixture
def host() -> Iterator[Host]:
    """Two ports on an isolated network, and one on a shared one."""
    with hosts() as host:
        for number in (1, 2, 3):
            host.guest(number).plug()
        host.ports = {
            port_id(1): port(1, segment=ISOLATED),
            port_id(2): port(2, segment=ISOLATED),
            port_id(3): port(3, network=2),
        }
        host.start()
        host.enforced(1, 2, 3)
        yield host


def switch(host: Host, value: str) -> None:
    """Let the host's own rules see bridged packets, or not."""
    within(host.name, lambda: Path(SWITCH).write_text(value))


def reported(host: Host, *, isolation: bool, since: int) -> HostReport:
    """The host's report, once it says this."""
    about = host.until_reported(lambda r: r.about and r.about.isolation is isolation, since).about
    assert about
    return about


def test_a_host_that_loses_isolation_closes_its_isolated_ports_until_it_has_it(host: Host) -> None:
    """It was looked up when the agent started, and never again."""
    first, second, _ = host.guests
    assert first.heard_by(second, legal(1)) == [legal(1)]
    since = len(host.reports)
    switch(host, "1")
    about = reported(host, isolation=False, since=since)
    assert any("net.bridge.bridge-nf-call-iptables=0" in each for each in about.missing)
    for number in (1, 2):
        why = host.until(number, PortState.HELD_CLOSED).reason
        assert re.search("cannot keep networks apart.*iptables see bridged packets", why)
        assert tap_of(number) not in host.members(bridge_of(1))
    report = host.report(3)
    assert report
    assert report.state is PortState.ENFORCED
    since = len(host.reports)
    switch(host, "0")
    assert reported(host, isolation=True, since=since).missing == ()
    host.enforced(1, 2)
    assert host.members(bridge_of(1)) == {tap_of(1), tap_of(2)}
    assert first.heard_by(second, legal(1)) == [legal(1)]


def test_a_host_that_started_without_isolation_gets_it_without_a_restart() -> None:
    with hosts() as host:
        switch(host, "1")
        host.guest(1).plug()
        host.ports = {port_id(1): port(1, segment=ISOLATED)}
        host.start()
        host.until(1, PortState.HELD_CLOSED)
        switch(host, "0")
        host.enforced(1)
        reported(host, isolation=True, since=0)
