"""An interface that somebody else wires: its guard is ours, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.guest import Ear
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually, within
from tests.agent.ports import bridge_of, forged, legal, mac_of, port, port_id
from tests.agent.test_adopted_bridges import passes

from vifguard.agent.host.restore import restore
from vifguard.feed.segment import Flat, UnknownKind
from vifguard.kernel.net.bridge import Bridges
from vifguard.model.address import Mac
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel
LAN = {"shared": True, "mtu": 1400, "kind": Flat("lan")}


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose `br0` is never named to the agent, with a guest that runs already."""
    with hosts(hands_off=frozenset({"lan"})) as host:
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "far")
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "up0", "master", "br0", "up")
        host.ip("link", "set", "far", "up")
        host.ip("link", "set", "br0", "up")
        host.guest(1).plug("vnet0", mac=Mac(b"\xfe" + mac_of(1).octets[1:]), bridge="br0")
        host.ip("link", "set", "vnet0", "type", "bridge_slave", "hairpin", "on")
        host.ports[port_id(1)] = port(1, segment=LAN)
        yield host


@pytest.fixture
def far(host: Host) -> Iterator[Ear]:
    ear = Ear(host.name, "far")
    yield ear
    ear.close()


def found(host: Host) -> dict[str, object]:
    """Everything of the host that could have been changed, aliases aside."""

    def read() -> tuple[object, ...]:
        index = host.links()["vnet0"].index
        with Bridges() as bridges:
            settings = bridges.settings(host.links()["br0"].index)
            return bridges.member(index), settings, sysctls()

    links = {name: replace(link, alias="") for name, link in host.links().items()}
    return {"links": links, "bridge": within(host.name, read), "nft": host.nft("list", "ruleset")}


def sysctls() -> dict[str, str]:
    """The settings of the guest's interface that the host's own stack goes by."""
    path = Path("/proc/sys/net/ipv6/conf/vnet0")
    return {
        each.name: each.read_text()
        for each in sorted(path.iterdir())
        if each.name != "stable_secret"
    }


def alias(host: Host) -> str:
    return host.links()["vnet0"].alias


def test_a_port_is_judged_where_its_hypervisor_put_it_and_nothing_else_changes(host, far):
    before = found(host)
    host.start()
    assert host.until(1, PortState.ENFORCED, interface="vnet0").wiring == "hands-off"
    guest = host.guests[0]
    passes(guest, far, legal(1))
    guest.send(forged(1))
    assert forged(1) not in far.until(*guest.send_marks())
    host.until_compared()
    assert found(host) == before
    assert alias(host) == f"vifguard port {port_id(1)}"


def test_a_deleted_port_leaves_the_interface_as_it_was_found(host, far):
    before = found(host)
    host.start()
    host.enforced(1)
    host.remove(1)
    eventually(lambda: not host.guards())
    assert (found(host), alias(host)) == (before, "")
    passes(host.guests[0], far, forged(1))


def test_a_port_deleted_while_no_agent_lives_leaves_it_so_too(host, far):
    host.guest(2).plug("vnet1", mac=Mac(b"\xfe" + mac_of(2).octets[1:]), bridge="br0")
    host.ports[port_id(2)] = port(2, segment=LAN)
    before = found(host)
    host.start()
    host.enforced(1, 2)
    host.kill()
    host.guests[0].send(forged(1))
    assert forged(1) not in far.until(*host.guests[0].send_marks())
    del host.ports[port_id(1)]
    host.start()
    index = host.links()["vnet0"].index
    eventually(lambda: f"{index}-ingress" not in host.guards())
    eventually(lambda: alias(host) == "")
    assert found(host) == before


def test_a_closed_port_is_held_by_its_guard_alone(host, far):
    before = found(host)
    host.ports[port_id(1)] = port(1, segment=LAN, closed="the port's admin_state_up is false")
    host.start()
    host.until(1, PortState.HELD_CLOSED)
    guest = host.guests[0]
    guest.send(legal(1))
    far.send(legal(9))
    assert not far.hears(legal(1))
    assert not guest.ear.hears(legal(9))
    assert found(host) == before
    host.set(port(1, segment=LAN))
    host.enforced(1)
    passes(guest, far, legal(1))


def test_a_port_of_an_unknown_kind_of_network_is_closed_where_it_is(host, far):
    before = found(host)
    later = {"shared": True, "mtu": 1500, "kind": UnknownKind("vxlan")}
    host.ports[port_id(1)] = port(1, segment=later)
    host.start()
    assert "vxlan" in host.until(1, PortState.HELD_CLOSED).reason
    host.guests[0].send(legal(1))
    assert not far.hears(legal(1))
    assert found(host) == before


def test_no_chain_waits_for_an_interface_that_is_not_there_yet(host):
    host.ports[port_id(2)] = port(2, segment=LAN, interface="vnet9")
    host.start()
    host.enforced(1)
    host.until(2, PortState.ABSENT)
    assert not host.held()
    assert bridge_of(1) not in host.links()


def test_a_release_takes_the_guard_and_the_mark(host):
    before = found(host)
    host.start()
    host.enforced(1)
    host.kill()
    released = within(host.name, lambda: restore(host.settings))
    assert released.interfaces == {"vnet0": "br0"}
    assert (found(host), alias(host), host.guards()) == (before, "", {})


def test_what_was_wired_by_us_is_given_back_when_it_becomes_hands_off(host, far):
    before = found(host)
    mapped = {"physical": {"lan": "br0"}, "trusted": frozenset({"up0"})}
    host.settings = replace(host.settings, hands_off=frozenset(), **mapped)
    host.start()
    host.enforced(1)
    assert found(host) != before
    host.kill()
    host.settings = replace(host.settings, physical={}, hands_off=frozenset({"lan"}))
    host.start()
    host.enforced(1)
    assert found(host)["links"]["vnet0"] == before["links"]["vnet0"]
    host.guests[0].send(forged(1))
    assert forged(1) not in far.until(*host.guests[0].send_marks())
