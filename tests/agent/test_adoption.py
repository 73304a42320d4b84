"""An interface of a deleted port is as it was found, and passes nothing by that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.agent.guest import Ear
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, within
from tests.agent.ports import bridge_of, forged, legal, mac_of, port, port_id
from tests.agent.test_adopted_bridges import passes

from vifguard.agent.host.restore import restore
from vifguard.agent.host.teardown import cut_off_by_removal
from vifguard.feed.segment import Flat
from vifguard.kernel.net.bridge import Bridges
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel
LAN = {"shared": True, "mtu": 1450, "kind": Flat("lan")}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose `br0` has an uplink and two guests, of which the first has odd settings."""
    with hosts({"lan": "br0"}, trusted=frozenset({"up0"})) as host:
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "far")
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "up0", "master", "br0", "up")
        host.ip("link", "set", "far", "up")
        host.ip("link", "set", "br0", "up")
        host.guest(1).plug("vnet0", mac=mac_of(1), bridge="br0")
        host.guest(2).plug("vnet1", mac=mac_of(2), bridge="br0")
        host.ip("link", "set", "vnet0", "mtu", "1400", "alias", "the mail server")
        host.ip("link", "set", "vnet0", "type", "bridge_slave", "hairpin", "on", "learning", "off")
        for number in (1, 2):
            host.ports[port_id(number)] = port(number, segment=LAN, interface=f"vnet{number - 1}")
        yield host


@pytest.fixture
def far(host: Host) -> Iterator[Ear]:
    ear = Ear(host.name, "far")
    yield ear
    ear.close()


def found(host: Host, name: str = "vnet0") -> dict[str, object]:
    """Everything of an interface that the agent may change."""

    def read() -> dict[str, object]:
        with Bridges() as bridges:
            member = bridges.member(host.links()[name].index)
        ipv6 = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text()
        return {"member": member, "ipv6": ipv6}

    settings: dict[str, object] = within(host.name, read)
    return asdict(host.links()[name]) | settings


def guarded(host: Host, name: str = "vnet0") -> bool:
    return f"{host.links()[name].index}-ingress" in host.guards()


def test_a_deleted_port_gives_its_interface_back_and_no_frame_passes_by_that(host, far):
    before = found(host)
    host.start()
    host.enforced(2)
    assert host.until(1, PortState.ENFORCED).wiring == "operators-bridge"
    first, second = host.guests
    passes(first, far, legal(1))
    assert found(host)["mtu"] == 1450
    flood = first.flood(forged(1))
    eventually(first.is_flooding)
    host.remove(1)
    eventually(lambda: not guarded(host))
    eventually(lambda: found(host) == before)
    heard = passes(second, far, legal(2))
    assert flood.end() > 0
    assert forged(1) not in heard | set(far.heard())


def test_its_next_port_is_enforced_and_the_release_gives_it_back_again(host, far):
    before = found(host)
    host.start()
    host.enforced(1, 2)
    host.remove(1)
    eventually(lambda: found(host) == before)
    host.set(port(1, segment=LAN, interface="vnet0"))
    host.enforced(1)
    passes(host.guests[0], far, legal(1))
    assert found(host) != before
    host.kill()
    within(host.name, lambda: restore(host.settings))
    assert (found(host), host.guards()) == (before, {})
    passes(host.guests[0], far, forged(1))


def test_a_port_deleted_while_no_agent_lives_is_given_back_too(host, far):
    before = found(host)
    host.start()
    host.enforced(1, 2)
    host.kill()
    del host.ports[port_id(1)]
    host.start()
    eventually(lambda: found(host) == before)
    eventually(lambda: not guarded(host))
    host.guests[0].send(forged(1))
    assert forged(1) not in passes(host.guests[1], far, legal(2))


def test_it_is_cut_off_by_a_removal_since_then_no_filter_holds_it_back(host):
    host.start()
    host.enforced(1, 2)
    host.remove(1)
    eventually(lambda: not guarded(host))
    host.kill()
    names = within(host.name, lambda: cut_off_by_removal(host.bpf_dir, host.record))
    assert names == ["vnet0", "vnet1"]


def test_with_keep_unguarded_it_is_cut_off_all_the_same_since_it_had_a_port(host, far):
    host.settings = replace(host.settings, keep_unguarded=True)
    host.start()
    host.enforced(1, 2)
    host.remove(1)
    eventually(lambda: not guarded(host))
    host.kill()
    host.start()
    host.enforced(2)
    host.until_compared()
    host.guests[0].send(legal(1))
    assert legal(1) not in passes(host.guests[1], far, legal(2))


def test_from_our_bridge_it_goes_back_to_the_operators_and_forwards_nothing_there(host, far):
    host.start()
    host.enforced(1, 2)
    host.guest(3).plug("vnet2", mac=mac_of(3), bridge="br0")
    before = found(host, "vnet2")
    host.set(port(3, network=2, interface="vnet2"))
    host.enforced(3)
    assert host.members(bridge_of(2)) == {"vnet2"}
    host.remove(3)
    eventually(lambda: found(host, "vnet2") == before)
    eventually(lambda: not guarded(host, "vnet2"))
    host.guests[2].send(forged(3))
    assert forged(3) not in passes(host.guests[1], far, legal(2))


def test_from_our_bridge_it_goes_nowhere_if_nothing_would_hold_it_back_where_it_was(host):
    host.ip("link", "add", "br9", "type", "bridge")
    host.ip("link", "set", "br9", "up")
    host.guest(3).plug("vnet2", mac=mac_of(3), bridge="br9")
    before = found(host, "vnet2")
    host.start()
    host.set(port(3, network=2, interface="vnet2"))
    host.enforced(3)
    host.remove(3)
    eventually(lambda: not guarded(host, "vnet2"))
    now = found(host, "vnet2")
    assert (now["master"], now["up"]) == (0, False)
    same = ("mtu", "mac", "alias", "ipv6")
    assert [now[each] for each in same] == [before[each] for each in same]


def test_an_interface_that_was_in_no_bridge_is_down_in_none_and_else_as_it_was(host):
    host.guest(3).plug(mac=mac_of(3))
    tap = host.guests[2].tap
    host.ip("link", "set", tap, "mtu", "1300")
    before = found(host, tap)
    host.start()
    host.set(port(3, network=2))
    assert host.until(3, PortState.ENFORCED, interface=tap).wiring == "bridge"
    assert found(host, tap)["mtu"] == 1500
    host.remove(3)
    eventually(lambda: not guarded(host, tap))
    assert found(host, tap) == before | {"up": False}
