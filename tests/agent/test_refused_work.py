"""What the kernel refuses an agent, or hides from it: nobody is let through for that."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from tests.agent.host import Host, hosts
from tests.agent.misfortunes import hooks, index
from tests.agent.netns import eventually, within
from tests.agent.ports import bridge_of, forged, legal, mac_of, port, port_id, tap_of

from vifguard.agent.host.saved_state import SavedState
from vifguard.agent.host.store_ownership import StoreOwnership
from vifguard.agent.host_guards import HostGuards
from vifguard.agent.reconcile import Reconciler
from vifguard.agent.reporting.health import Health
from vifguard.agent.reporting.report import Outbox
from vifguard.agent.state import AgentState
from vifguard.agent.verify import Verifier
from vifguard.agent.wiring.adopted_bridges import AdoptedBridges, HostLinks
from vifguard.agent.wiring.adoption import Adoption
from vifguard.agent.wiring.linux import linux_wirings
from vifguard.agent.worker import Actors, Startup, Worker
from vifguard.bridging.bridge_applier import BridgeApplier
from vifguard.bridging.member_filters import TABLE, NftFilter
from vifguard.bridging.quarantine import Quarantine
from vifguard.enforce.driver.protocol import ApplyError, Change, PortError
from vifguard.enforce.driver.session import Session
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.state import PortImage
from vifguard.feed.messages import Update
from vifguard.feed.segment import Flat
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Links
from vifguard.kernel.net.netlink import NetlinkError
from vifguard.kernel.nftables.nft_members import MembersTable
from vifguard.model.address import Mac
from vifguard.model.guard import Profile

pytestmark = pytest.mark.kernel


class Bench:
    """The agent's hands in the test's own process, so that what they ask can be falsified."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.missed: set[int] = set()
        self.outbox = Outbox("h")
        self.driver = within(host.name, lambda: EbpfDriver(host.bpf_dir))
        self.links, self.quarantine = within(host.name, lambda: (Links(), Quarantine()))
        self.bridges = within(host.name, Bridges)
        state, health = AgentState(host.settings.physical), Health(self.outbox.put_health)
        guards = HostGuards([Session(self.driver)])
        wirer = BridgeApplier(self.links, self.bridges, self.quarantine, vlan_quarantine=False)
        self.table = within(host.name, lambda: MembersTable(TABLE))
        members = NftFilter(self.table) if host.settings.physical else None
        door = HostLinks(self.links, self.bridges, members)
        adoption = Adoption(state, SavedState(None, self.bridges), self.links, self.bridges)
        self.adopted = AdoptedBridges(state, host.settings, adoption, door)
        wirings = linux_wirings(state, wirer, self.quarantine, self.adopted, adoption, by_name=True)
        self.hands = Reconciler(state, guards, wirings, wirer.link)
        reading = Verifier(guards, state, health, self.hands.port_by_ifindex, 300.0)
        acting = Actors(
            self.hands, reading, StoreOwnership(guards, tuple, take_over=False), self._look
        )
        self.worker = Worker(state, acting, Startup(), self.outbox, health, 300.0)

    def do(self, work: Callable[[], None]) -> None:
        within(self.host.name, work)

    def take(self, update: Update) -> None:
        self.do(lambda: self.worker.reconcile(self.worker._take(update)))

    def compare(self) -> None:
        self.do(lambda: self.worker.reconcile(self.worker._compare()))

    def _look(self) -> list[object]:
        return [link for link in self.links.all() if link.index not in self.missed]

    def close(self) -> None:
        for each in (self.links, self.bridges, self.quarantine, self.driver, self.table):
            each.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    with hosts() as host:
        for number in (1, 2):
            host.guest(number).plug()
        with closing(Bench(host)) as bench:
            bench.compare()
            both = (port(1), port(2, profile=Profile.OFF))
            bench.take(Update(7, complete=True, ports=both))
            yield bench


def test_a_dump_that_misses_an_interface_takes_no_guard_away(bench: Bench) -> None:
    """K1.2: the guard was taken off while the interface stayed in its bridge, up."""
    host = bench.host
    before = hooks(host)
    bench.missed.add(index(host))
    bench.compare()
    assert hooks(host) == before
    assert host.members(bridge_of(1)) == {tap_of(1), tap_of(2)}
    first, second = host.guests
    assert first.heard_by(second, forged(1), legal(1)) == [legal(1)]


def test_who_was_there_first_and_cannot_be_guarded_forwards_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel takes neither its policy nor a closed one, and somebody raises it again.

    Its port does not name it, so that the quarantine does not hold it.
    """
    with hosts({"lan": "br0"}) as host:
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "br0", "up")
        host.guest(1).plug("vnet1", mac=Mac(b"\xfe" + mac_of(1).octets[1:]), bridge="br0")
        for number in (2, 3):
            host.guest(number).plug(bridge="br0")
        one, two, three = host.guests
        # The host itself is not silent yet: what it says to all is heard too.
        assert forged(1) in one.heard_by(two, forged(1))
        with closing(Bench(host)) as bench:
            bare, apply = host.links()["vnet1"].index, bench.driver.apply

            def refuse(change: Change[PortImage]) -> None:
                others = {i: each for i, each in change.ports.items() if i != bare}
                apply(replace(change, ports=others))
                if others != change.ports:
                    raise ApplyError("no", [PortError(bare, "no memory")])

            monkeypatch.setattr(bench.driver, "apply", refuse)
            bench.compare()
            lan = {"shared": True, "mtu": 1500, "kind": Flat("lan")}
            ports = tuple(port(number, segment=lan) for number in (1, 2, 3))
            bench.take(Update(7, complete=True, ports=ports))
            bench.compare()
            guarded = bench.hands.guarded()
            assert [link.name for _, link in bench.adopted.unguarded(guarded)] == ["vnet1"]
            assert f"at interface vnet1 of port {port_id(1)}: no memory" in caplog.text
            host.ip("link", "set", "vnet1", "up")
            eventually(lambda: "state forwarding" in host.ip("-d", "link", "show", "vnet1"))
            assert three.heard_by(two, legal(3)) == [legal(3)]
            one.send(forged(1))
            assert forged(1) not in two.ear.until(*three.send_marks())


def test_an_interface_that_is_gone_before_its_guard_is_no_error(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Each restart of a guest logged that its tap had no guard: No such device."""
    bench.host.guests[0].unplug()
    bench.take(Update(8, complete=False, ports=(replace(port(1), revision=8),)))
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_an_interface_that_its_bridge_does_not_let_go_keeps_its_guard_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K1.3: its port was deleted, and the guard went though the bridge kept it."""
    host, change = bench.host, bench.links.change

    def refuse(changes):
        busy = NetlinkError(16, "busy")
        return [busy if each.master == 0 else change([each])[0] for each in changes]

    monkeypatch.setattr(bench.links, "change", refuse)
    before, gone = hooks(host), frozenset({port_id(1)})
    bench.take(Update(8, complete=False, ports=(), gone=gone))
    assert tap_of(1) in host.members(bridge_of(1))
    assert hooks(host) == before
    first, second = host.guests
    first.send(legal(1))
    first.send(forged(1))
    assert [frame for frame in second.ear.heard() if frame in (legal(1), forged(1))] == []
    assert index(host) in bench.worker._retries
    monkeypatch.undo()
    monkeypatch.setitem(bench.worker._retries, index(host), 0.0)
    bench.do(lambda: bench.worker.reconcile(bench.worker._due()))
    assert host.members(bridge_of(1)) == {tap_of(2)}
    assert hooks(host) == [(), ()]
    assert not host.links()[tap_of(1)].up
