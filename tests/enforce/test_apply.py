"""How state gets into the kernel, stays there, and is found again."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.enforce.driver_ports import from_, passes, port, programs_at
from tests.enforce.guarded_port import attach, hold, run

from vifguard.enforce.driver.protocol import ApplyError
from vifguard.enforce.ebpf import state
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.model.address import parse_network
from vifguard.model.guard import LinkLocal
from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import arp, ethernet

pytestmark = pytest.mark.kernel

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = 1 << 20
"""An interface index that no interface has."""


@pytest.fixture
def driver(opened):
    it = opened()
    yield it
    it.remove_all()


def take_away(driver, guest):
    """As a careless operator would."""
    if driver.capabilities.mechanism == "tcx":
        ((number, _),) = tcx.attached(guest.ifindex, AttachType.TCX_EGRESS)
        with Program.by_id(number) as program:
            tcx.detach(program, guest.ifindex, AttachType.TCX_EGRESS)
    else:
        run("tc", "filter", "del", "dev", guest.tap, "egress")
    assert len(programs_at(driver, guest)) == 1


class TestAgainAndAgain:
    def test_applying_twice_changes_nothing(self, driver, pair):
        wanted = driver.render([attach(guest) for guest in pair])
        driver.apply(driver.diff(wanted, driver.observe(None)))
        for scope in (None, frozenset(guest.ifindex for guest in pair)):
            assert driver.diff(wanted, driver.observe(scope)) is None

    def test_scope_limits_what_is_seen_and_removed(self, driver, pair):
        alice, bob = pair
        hold(driver, attach(alice), attach(bob))
        seen = driver.observe(frozenset({alice.ifindex}))
        assert set(seen.ports) == {alice.ifindex}
        change = driver.diff(driver.render([]), seen)
        assert change.removed == {alice.ifindex}
        driver.apply(change)
        assert set(driver.observe(None).ports) == {bob.ifindex}

    def test_a_revision_is_read_back(self, driver, pair):
        alice, _ = pair
        hold(driver, attach(alice, revision=7))
        wanted = driver.render([attach(alice, revision=8)])
        assert driver.enforced(wanted, driver.observe(None)) == set()
        hold(driver, attach(alice, revision=8))
        assert driver.enforced(wanted, driver.observe(None)) == {alice.ifindex}

    def test_what_somebody_took_away_is_seen_and_put_back(self, world, driver, pair):
        alice, bob = pair
        many = [f"10.9.0.{i}" for i in range(1, 9)]
        hold(driver, attach(alice, *many), attach(bob))
        wanted = driver.render([attach(alice, *many), attach(bob)])
        table = driver._maps["addresses"]
        key, _ = next(iter(table.contents()))
        table.delete(key)
        take_away(driver, bob)
        for scope in (frozenset({alice.ifindex, bob.ifindex}), None):
            change = driver.diff(wanted, driver.observe(scope))
            assert set(change.ports) == {alice.ifindex, bob.ifindex}
        hold(driver, attach(alice, *many), attach(bob))
        frames = [from_(alice, bob, source) for source in many]
        assert world.delivered(alice, bob, *frames) == frames

    def test_whatever_was_taken_away_beside_the_entry_is_a_loss(self, driver, pair):
        """A set of prefixes, or the room for what is known of its connections."""
        alice, _ = pair
        learning = {
            "link_local": LinkLocal.LEARNED,
            "claimable": frozenset({parse_network("fe80::/64")}),
        }
        wanted = driver.render([attach(alice, **learning)])
        held = wanted.ports[alice.ifindex]
        for name in ("prefix_sets", "tracking"):
            hold(driver, attach(alice, **learning))
            for key, _ in list(driver._maps[name].contents()):
                driver._maps[name].delete(key)
            for scope in (frozenset({alice.ifindex}), None):
                seen = driver.observe(scope)
                cause, _ = driver.loss(held, seen.ports[alice.ifindex])
                assert cause is state.LossKind.EXTRAS
                assert set(driver.diff(wanted, seen).ports) == {alice.ifindex}

    def test_a_clock_that_was_set_is_set_back(self, opened):
        def set_clock(driver):
            driver._maps["settings"].memory(8)[:8] = (1).to_bytes(8, "little")

        with opened() as driver:
            set_clock(driver)
            assert driver.repair() == ("the settings of all ports were not what was written",)
            set_clock(driver)
        with opened() as driver:
            assert driver._maps["settings"].memory(8)[:8] == bytes(8)
            driver.remove_all()

    def test_a_guest_that_floods_does_not_silence_the_agent(self, world, driver, pair):
        """Else what the agent asks in the guest's name, nobody would hear, and so nobody answer."""
        alice, bob = pair
        hold(driver, attach(alice, storm=Storm(1, 1)), attach(bob))
        told, asked = (
            ethernet(alice.mac, BROADCAST, arp(alice.mac, "10.9.0.1", target_ip=target))
            for target in ("10.9.0.1", "10.9.0.2")
        )
        assert world.delivered(alice, bob, told, told) == [told]
        driver.events.inject(alice.ifindex, Direction.FROM_GUEST, asked, reversed_hooks=False)
        assert world.delivered(alice, bob, told) == [asked]

    def test_removed_is_gone(self, world, driver, pair):
        alice, bob = pair
        hold(driver, attach(alice), attach(bob))
        world.delivered(alice, bob, from_(alice, bob, "10.9.0.77"))
        hold(driver, attach(bob))
        assert not list(driver.events.counts())
        assert not programs_at(driver, alice)
        forged = from_(alice, bob, "10.9.0.77")
        assert world.delivered(alice, bob, forged) == [forged]


class TestOneChangeIsOneStep:
    def test_a_change_under_a_flood_leaks_nothing_and_loses_nothing(self, world, driver, pair):
        """Two policies in turn: each allows one address more; a third is never allowed."""
        alice, bob = pair
        turns = [attach(alice, "10.9.0.1", f"10.9.0.{n}", revision=n) for n in (11, 12)]
        hold(driver, turns[0], attach(bob))
        rendered = [driver.render([turn, attach(bob)]) for turn in turns]
        scope = frozenset({alice.ifindex, bob.ifindex})
        own, forged = from_(alice, bob), from_(alice, bob, "10.9.0.13")
        leaked, rounds = [], 0

        def change():
            for turn in range(1, 1001):
                driver.apply(driver.diff(rendered[turn % 2], driver.observe(scope)))

        with ThreadPoolExecutor(1) as pool:
            changing = pool.submit(world.here, change)
            while not changing.done():
                alice.send(forged)
                alice.send(own)
                leaked += bob.received(own)  # TimeoutError: a legal frame was lost
                rounds += 1
            changing.result()
        assert not leaked
        assert rounds > 100

    def test_entries_are_used_again_only_when_nobody_reads_them(self, private):
        """More changes than there are entries."""
        rendered = [private.render([port(1, revision=n)]) for n in (1, 2)]
        for turn in range(40_000):
            private._ports.put(rendered[turn % 2].ports, [])
        assert passes(private, 1, "10.9.0.1")
        assert private.diff(rendered[1], private.observe(None)) is None

    def test_a_full_table_is_an_error_of_the_ports_that_find_no_room(self, private):
        room = private._maps["entries"].spec.max_entries - 1
        ports = private.render([port(n % 60000, ifindex=n) for n in range(1, room + 11)])
        with pytest.raises(ApplyError) as failed:
            private.apply(private.diff(ports, private.observe(None)))
        assert len(failed.value.exceptions) == 10
        assert len(private.observe(None).ports) == room

    def test_interfaces_whose_indexes_collide(self, private):
        size = private._maps["slots"].spec.max_entries
        numbers = {1: 1, 2: 1 + size, 3: 1 + 2 * size}
        ports = [port(n, ifindex=ifindex) for n, ifindex in numbers.items()]
        hold(private, *ports)
        assert len(list(private._maps["overflow"].contents())) == 2
        assert passes(private, 1, "10.9.0.1")
        assert not passes(private, 2, "10.9.0.2", ifindex=1)
        hold(private, *ports[1:])
        assert len(private.observe(None).ports) == 2
        hold(private, port(2, "10.9.0.22", ifindex=numbers[2]), port(4, ifindex=1), ports[2])
        assert passes(private, 4, "10.9.0.4", ifindex=1)
        hold(private)
        assert not list(private._maps["overflow"].contents())


class TestOnePortNeverStopsAnother:
    def test_an_interface_that_does_not_exist(self, driver, pair):
        alice, bob = pair
        wanted = driver.render([attach(alice), port(7, ifindex=NOBODY), attach(bob)])
        with pytest.raises(ApplyError) as failed:
            driver.apply(driver.diff(wanted, driver.observe(None)))
        assert [error.device for error in failed.value.exceptions] == [NOBODY]
        assert set(driver.enforced(wanted, driver.observe(None))) == {alice.ifindex, bob.ifindex}

    def test_a_policy_that_cannot_be_rendered_is_closed_and_told(self, driver, pair):
        alice, bob = pair
        bad = attach(alice)
        object.__setattr__(bad.policy, "port_id", "no uuid")
        wanted = driver.render([bad, attach(bob)])
        assert wanted.refused == {alice.ifindex: "port id 'no uuid' is not a UUID"}
        driver.apply(driver.diff(wanted, driver.observe(None)))
        assert driver.enforced(wanted, driver.observe(None)) == {alice.ifindex, bob.ifindex}
        alice.send(from_(alice, bob))
        (drop,) = driver.events.drops()
        assert (drop.device, drop.reason) == (alice.ifindex, Reason.HELD_CLOSED)

    def test_two_ports_on_one_interface_are_none(self, private):
        wanted = private.render([port(1), port(2, ifindex=1), port(3)])
        assert list(wanted.refused) == [1]
        private.apply(private.diff(wanted, private.observe(None)))
        assert not passes(private, 1, "10.9.0.1")
        assert passes(private, 3, "10.9.0.3")
