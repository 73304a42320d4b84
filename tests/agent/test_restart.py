"""Law 7: what is installed is a function of what is wanted; a new agent knows its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, within
from tests.agent.ports import bridge_of, forged, port, port_id, tap_of

from vifguard.agent.host.teardown import teardown
from vifguard.agent.reporting.run_file import path_of
from vifguard.kernel.net.link import Link, LinkWatch
from vifguard.model.guard import Profile
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel


@pytest.fixture
def host() -> Iterator[Host]:
    with hosts(compare=0.2) as host:
        for number in (1, 2):
            host.guest(number).plug()
        host.ports = {port_id(1): port(1), port_id(2): port(2, profile=Profile.OFF)}
        host.start()
        host.enforced(1, 2)
        yield host


def foreign(host: Host) -> None:
    """What others have on the host."""
    host.ip("link", "add", "br-theirs", "type", "bridge")
    host.ip("link", "add", "veth-theirs", "type", "veth", "peer", "name", "peer-theirs")
    host.ip("link", "set", "veth-theirs", "master", "br-theirs", "up", "alias", "theirs")
    host.nft(
        "add table netdev theirs; "
        "add chain netdev theirs c { type filter hook ingress device veth-theirs priority 0; }"
    )


def test_a_new_agent_touches_neither_its_own_nor_others(host):
    foreign(host)
    guards, links, rules = host.guards(), host.links(), host.nft("list", "ruleset")
    host.kill()
    watch = within(host.name, lambda: closing(LinkWatch()))
    with watch as told:
        _lives_on(host)
        changed = {notice for notice in told._received() if isinstance(notice, Link)}
    assert not {link.name for link in changed} & links.keys()
    assert host.guards() == guards
    assert host.links() == links
    assert host.nft("list", "ruleset") == rules


def _lives_on(host: Host) -> None:
    """A new agent comes, and compares everything again and again."""
    host.start()
    host.enforced(1, 2)
    for _ in range(3):
        host.set(port(1))
        host.enforced(1)
    host.stop()


def test_nothing_is_swept_before_one_complete_update(host):
    before = host.guards(), host.links(), host.held()
    host.kill()
    host.start(complete=False)
    host.until_reported(lambda report: report.about)
    host.lose_server()
    host.guest(3).plug()
    eventually(lambda: tap_of(3) in host.links())
    assert (
        host.guards(),
        {n: x for n, x in host.links().items() if n != tap_of(3)},
        host.held(),
    ) == before
    host.send_all()
    host.enforced(1, 2)


def test_what_ended_while_the_agent_was_dead_goes_with_the_first_complete_update(host):
    host.kill()
    del host.ports[port_id(1)]
    host.start()
    host.enforced(2)
    eventually(lambda: host.members(bridge_of(1)) == {tap_of(2)})
    eventually(lambda: len(host.guards()) == 2)
    assert not host.links()[tap_of(1)].up


def test_what_a_living_agent_is_not_told_of_any_more_goes_as_well(host):
    """A complete update names no port that ended; its guard and chain stayed for ever."""
    host.set(port(3))
    host.until(3, PortState.ABSENT)
    assert tap_of(3) in host.held()
    for number in (1, 3):
        del host.ports[port_id(number)]
    host.revision += 1
    host.send_all()
    eventually(lambda: host.members(bridge_of(1)) == {tap_of(2)})
    eventually(lambda: len(host.guards()) == 2)
    eventually(lambda: tap_of(3) not in host.held())
    assert not host.links()[tap_of(1)].up


def test_a_server_that_is_gone_changes_nothing(host):
    host.lose_server()
    guest = host.guests[0]
    assert guest.heard_by(host.guests[1], forged(1)) == []
    guest.unplug()
    host.until(1, PortState.ABSENT)
    guest.plug()
    host.enforced(1)
    assert guest.heard_by(host.guests[1], forged(1)) == []


def test_an_end_leaves_everything_in_force(host):
    before = host.guards(), host.members(bridge_of(1)), host.held()
    host.stop()
    assert (host.guards(), host.members(bridge_of(1)), host.held()) == before
    assert host.guests[0].heard_by(host.guests[1], forged(1)) == []


def test_remove_leaves_nothing_but_what_others_have(host):
    foreign(host)
    host.kill()
    within(host.name, lambda: teardown(host.settings))
    links = host.links()
    assert bridge_of(1) not in links
    assert not host.bpf_dir.exists()
    assert not path_of(host.bpf_dir).exists()
    assert "vifguard" not in host.nft("list", "ruleset")
    assert "theirs" in host.nft("list", "ruleset")
    assert {n for n, x in links.items() if x.master == links["br-theirs"].index} == {"veth-theirs"}
    for number in (1, 2):
        assert not links[tap_of(number)].up
        assert not links[tap_of(number)].alias
