"""A guest floods with what it may not send, all its life; nobody must ever hear it.

And what it must not hear, it does not hear either: not from plug to guard, not while the
agent is dead, not while its port ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.agent.guest import Guest
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, within
from tests.agent.ports import bridge_of, forged, legal, mac_of, port, port_id, stray_unicast, tap_of

from vifguard.agent.host.teardown import teardown
from vifguard.bridging.quarantine import FORMER_TABLE, TABLE
from vifguard.kernel.nftables.nft import DropTable
from vifguard.model.address import Mac
from vifguard.model.guard import Profile
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel


@pytest.fixture
def host() -> Iterator[Host]:
    """A host where guest 2, who hears everything, is there already."""
    with hosts() as host:
        host.guest(2).plug()
        host.ports[port_id(2)] = port(2, profile=Profile.OFF)
        host.start()
        host.enforced(2)
        host.guests[0].ear.heard()
        yield host


def settled(guest: Guest, ear: Guest) -> list[bytes]:
    """Everything that `ear` hears of a flood that is on, and of legal frames among it."""
    eventually(guest.is_flooding)
    return guest.heard_by(ear, legal(1))


def test_nothing_forged_passes_in_a_ports_whole_life(host):
    ear, guest = host.guests[0], host.guest(1)
    heard: list[bytes] = []
    flood = guest.flood(forged(1))
    host.set(port(1))
    host.until(1, PortState.ABSENT)
    guest.plug()
    host.enforced(1)
    heard += settled(guest, ear)
    for turn in range(100):
        host.set(port(1, prefixes=port(1).policy.prefixes | port(100 + turn).policy.prefixes))
    host.enforced(1)
    heard += settled(guest, ear)
    host.kill()
    heard += settled(guest, ear)
    host.start()
    host.enforced(1)
    heard += settled(guest, ear)
    host.stop()
    heard += settled(guest, ear)
    host.start()
    host.enforced(1)
    host.remove(1)
    eventually(lambda: tap_of(1) not in host.members(bridge_of(1)))
    eventually(lambda: not host.links()[tap_of(1)].up)
    assert flood.end() > 100
    heard += ear.ear.heard()
    assert set(heard) == {legal(1)}


def test_killed_at_any_moment_of_a_plug_it_leaves_nothing_open(host):
    ear, guest = host.guests[0], host.guest(1)
    flood = guest.flood(forged(1))
    for turn in range(8):
        host.set(port(1))
        guest.plug()
        eventually(lambda turn=turn: turn < 4 or tap_of(1) in host.links())
        host.kill()
        host.start()
        host.enforced(1)
        host.remove(1)
        if turn % 2:
            host.kill()
            host.start()
        eventually(lambda: tap_of(1) not in host.members(bridge_of(1)))
        guest.unplug()
    assert flood.end() > 0
    assert ear.ear.heard() == []


@pytest.mark.parametrize("bridge", ["", bridge_of(1)])
def test_from_plug_to_guard_nothing_passes_either_way(host, bridge):
    """Even where a hypervisor puts the interface into the network's bridge by itself."""
    other, guest = host.guests[0], host.guest(1)
    floods = [guest.flood(forged(1)), other.flood(stray_unicast(2))]
    host.set(port(1))
    host.until(1, PortState.ABSENT)
    for _ in range(3):
        guest.plug(bridge=bridge)
        host.enforced(1)
        heard = settled(guest, other)
        assert set(heard) == {legal(1)}
        assert guest.ear.heard() == []
        guest.unplug()
        host.until(1, PortState.ABSENT)
    assert all(flood.end() > 0 for flood in floods)


def test_the_quarantine_holds_while_no_agent_runs(host):
    """A guest that starts while the agent is down waits for it, closed."""
    other, guest = host.guests[0], host.guest(1)
    host.set(port(1))
    eventually(lambda: tap_of(1) in host.held())
    host.kill()
    flood = guest.flood(forged(1))
    guest.plug(bridge=bridge_of(1))
    other.send(legal(2))
    eventually(guest.is_flooding)
    assert other.ear.heard() == []
    assert guest.ear.heard() == []
    host.start()
    host.enforced(1)
    assert settled(guest, other) == [legal(1)]
    assert flood.end() > 0


def test_the_quarantine_of_an_earlier_release_is_taken_over_with_no_moment_open(host):
    other, guest = host.guests[0], host.guest(1)
    host.set(port(1))
    eventually(lambda: tap_of(1) in host.held())
    host.kill()
    within(host.name, _as_an_earlier_release)
    flood = guest.flood(forged(1))
    guest.plug(bridge=bridge_of(1))
    other.send(legal(2))
    eventually(guest.is_flooding)
    blocked = host.held()
    host.start(complete=False)
    eventually(lambda: FORMER_TABLE not in host.nft("list", "tables"))
    assert host.held() == blocked
    assert other.ear.heard() == []
    assert guest.ear.heard() == []
    host.send_all()
    host.enforced(1)
    assert settled(guest, other) == [legal(1)]
    assert flood.end() > 0


def test_a_teardown_removes_the_quarantine_of_an_earlier_release(host):
    host.set(port(1))
    eventually(lambda: tap_of(1) in host.held())
    host.kill()
    within(host.name, _as_an_earlier_release)
    within(host.name, lambda: teardown(host.settings))
    assert "netdev" not in host.nft("list", "tables")


def _as_an_earlier_release() -> None:
    with DropTable(TABLE) as found, DropTable(FORMER_TABLE) as former:
        former.change(add=sorted(found.chains()))
        found.remove()


def test_a_flood_on_an_unnamed_interface_is_held_once_its_port_is_known(host):
    """Found by MAC: the quarantine could not wait for a name, so the interface stayed outside."""
    other, guest = host.guests[0], host.guest(1)
    flood = guest.flood(forged(1))
    host.set(port(1))
    guest.plug("vnet1", mac=Mac(b"\xfe" + mac_of(1).octets[1:]))
    host.enforced(1)
    assert settled(guest, other) == [legal(1)]
    assert flood.end() > 0
