"""How state gets into the kernel, stays there, and is found again."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.enforce.guarded_port import attach, hold, mac_of, policy_of, run

from vifguard.enforce.driver.protocol import ApplyError, Attachment, DriverError
from vifguard.enforce.ebpf import state
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Program
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.model.address import parse_network
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.policy import Storm
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import arp, ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

HELLO = udp(1, 1, b"hello")
BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = 1 << 20
"""An interface index that no interface has."""


def from_(sender, receiver, source=None, mac=None):
    source = source or f"10.9.0.{sender.number}"
    packet = ipv4(source, f"10.9.0.{receiver.number}", HELLO)
    return ethernet(mac or sender.mac, receiver.mac, packet)


@pytest.fixture(params=[True, False], ids=["tcx", "clsact"])
def opened(world, request):
    """Open the driver of the world's host, attaching one way and then the other."""
    return partial(EbpfDriver, world.bpf_dir, tcx=request.param)


@pytest.fixture
def driver(opened):
    it = opened()
    yield it
    it.remove_all()


@pytest.fixture
def pair(world):
    return world.guest(1), world.guest(2)


def port(number, *prefixes, ifindex=None, revision=1, **more):
    policy = policy_of(number, *prefixes, **more)
    return Attachment(policy, ifindex or number, reversed_hooks=False, revision=revision)


def passes(driver, number, source, *, ifindex=None):
    frame = ethernet(mac_of(number), mac_of(99), ipv4(source, "192.0.2.1", HELLO))
    return driver.test(Direction.FROM_GUEST, frame, ifindex or number) is None


def programs_at(driver, guest):
    return [program for program in driver._attaching.observed(guest.ifindex) if program]


def take_away(driver, guest):
    """As a careless operator would."""
    if "tcx" in driver.capabilities.features:
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

    @pytest.mark.parametrize("which", ["maps", "connections"])
    def test_pins_of_maps_that_went_while_nobody_lived(self, world, opened, pair, which):
        """The programs that are still pinned read maps that nobody can write any more."""
        alice, bob = pair
        with opened() as driver:
            hold(driver, attach(alice, "10.9.0.1", "10.9.0.77"), attach(bob))
        (lost,) = world.bpf_dir.glob(f"{which}-*")
        for pin in lost.iterdir():
            pin.unlink()
        lost.rmdir()
        own, former = from_(alice, bob), from_(alice, bob, "10.9.0.77")
        with opened() as driver:
            hold(driver, attach(alice), attach(bob))
            assert world.delivered(alice, bob, own, former) == [own]
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


class TestWhatDoesNotFitInAnEntry:
    def test_a_thousand_addresses(self, private):
        many = [f"10.8.{i >> 8}.{i & 255}" for i in range(1000)]
        hold(private, port(1, *many))
        assert passes(private, 1, "10.8.3.231")
        hold(private, port(1, *many[:500]))
        assert passes(private, 1, "10.8.1.243")
        assert not passes(private, 1, "10.8.3.231")
        assert len(list(private._maps["addresses"].contents())) == 498

    def test_a_new_revision_writes_nothing_beside(self, private):
        many = [f"10.8.0.{i}" for i in range(100)]
        hold(private, port(1, *many))
        before = dict(private._maps["addresses"].contents())
        hold(private, port(1, *many, revision=2))
        assert dict(private._maps["addresses"].contents()) == before

    def test_a_full_map_keeps_the_old_policy_and_stops_nobody_else(self, private):
        hold(private, port(1), port(2), port(3))
        room = private._maps["ethertypes"].spec.max_entries
        types = frozenset(range(0x0600, 0x0600 + room))
        wanted = private.render(
            [
                port(1, "10.9.0.11", ethertypes=types, revision=2),
                port(2, "10.9.0.12", ethertypes=frozenset({0x88B5}), revision=2),
                port(3, "10.9.0.13", revision=2),
            ]
        )
        with pytest.raises(ApplyError) as failed:
            private.apply(private.diff(wanted, private.observe(None)))
        (lost,) = {error.device for error in failed.value.exceptions}
        assert lost in (1, 2)
        assert private.enforced(wanted, private.observe(None)) == {1, 2, 3} - {lost}
        assert passes(private, lost, f"10.9.0.{lost}")
        assert passes(private, 3, "10.9.0.13")
        fresh = private.render([port(4, ethertypes=types)])
        with pytest.raises(ApplyError):
            private.apply(private.diff(fresh, private.observe(frozenset({4}))))
        assert not passes(private, 4, "10.9.0.4")

    def test_a_public_set_is_shared_and_goes_with_its_last_port(self, private):
        router = {"guards": GUARDS_OF[Profile.ROUTER]}
        old = router | {"public": frozenset({parse_network("203.0.113.0/24")})}
        new = router | {"public": frozenset({parse_network("198.51.100.0/24")})}
        sets = private._maps["prefix_sets"]
        hold(private, port(1, **old), port(2, **old))
        assert len(list(sets.contents())) == 1
        for scope, number in ((frozenset({1}), 1), (frozenset({2}), 2)):
            wanted = private.render([port(number, **new)])
            private.apply(private.diff(wanted, private.observe(scope)))
        assert len(list(sets.contents())) == 1
        assert passes(private, 1, "203.0.113.9")
        assert not passes(private, 2, "198.51.100.9")
        hold(private, port(1), port(2))
        assert not list(sets.contents())

    def test_a_public_set_may_lose_its_last_port_and_find_another_in_one_step(self, private):
        router = {"guards": GUARDS_OF[Profile.ROUTER]}
        public = router | {"public": frozenset({parse_network("203.0.113.0/24")})}
        hold(private, port(1, **public), port(2, **router))
        hold(private, port(1, **router), port(2, **public))
        assert passes(private, 1, "203.0.113.9")
        assert not passes(private, 2, "203.0.113.9")

    def test_a_torn_public_set_is_not_used_again(self, private):
        public = frozenset(map(parse_network, ("203.0.113.0/24", "198.51.100.0/24")))
        router = {"guards": GUARDS_OF[Profile.ROUTER], "public": public}
        hold(private, port(1, **router))
        sets = private._maps["prefix_sets"]
        key, _ = next(iter(sets.contents()))
        sets.delete(key)
        for scope in (frozenset({1}), frozenset({2})):
            (number,) = scope
            wanted = private.render([port(number, **router)])
            private.apply(private.diff(wanted, private.observe(scope)))
        for number in (1, 2):
            assert not passes(private, number, "203.0.113.9")
            assert not passes(private, number, "198.51.100.9")


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
        assert driver.enforced(wanted, driver.observe(None)) == {bob.ifindex}
        alice.send(from_(alice, bob))
        (drop,) = driver.events.drops()
        assert (drop.device, drop.reason) == (alice.ifindex, Reason.HELD_CLOSED)

    def test_two_ports_on_one_interface_are_none(self, private):
        wanted = private.render([port(1), port(2, ifindex=1), port(3)])
        assert list(wanted.refused) == [1]
        private.apply(private.diff(wanted, private.observe(None)))
        assert not passes(private, 1, "10.9.0.1")
        assert passes(private, 3, "10.9.0.3")


HOLDER = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.enforce.guarded_port import hold, policy_of
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.driver.protocol import Attachment
driver = EbpfDriver(Path({bpf_dir!r}), tcx={tcx})
hold(driver, *[Attachment(policy_of(n), i, False, 1) for n, i in {ports!r}])
print("holding", flush=True)
{then}
"""


@contextmanager
def holder(world, opened, *guests, then="time.sleep(600)"):
    """Another process that brings these ports into force; killed in the end."""
    ports = [(guest.number, guest.ifindex) for guest in guests]
    root = str(Path(__file__).parents[2])
    code = HOLDER.format(
        root=root, bpf_dir=str(world.bpf_dir), tcx=opened.keywords["tcx"], ports=ports, then=then
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "holding\n"
        try:
            yield process
        finally:
            process.kill()


class TestTheAgentMayDie:
    def test_the_guard_outlives_a_kill(self, world, opened, pair):
        alice, bob = pair
        with holder(world, opened, alice, bob) as process:
            process.kill()
        own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
        assert world.delivered(alice, bob, forged, own) == [own]

    def test_the_next_one_finds_its_own_and_changes_nothing(self, world, opened, pair):
        alice, bob = pair
        with holder(world, opened, alice, bob, then="") as process:
            process.wait()
        with opened() as driver:
            before = sorted(path.name for path in world.bpf_dir.rglob("*"))
            wanted = driver.render([attach(alice), attach(bob)])
            seen = driver.observe(None)
            assert driver.diff(wanted, seen) is None
            assert driver.enforced(wanted, seen) == {alice.ifindex, bob.ifindex}
            assert sorted(path.name for path in world.bpf_dir.rglob("*")) == before
            hold(driver, attach(alice, "10.9.0.1", "10.9.0.11"), attach(bob))
        other = from_(alice, bob, "10.9.0.11")
        assert world.delivered(alice, bob, other) == [other]

    def test_killed_in_the_midst_of_changes(self, world, opened, pair):
        """Whatever the kill leaves over is swept, and what is in force is old or new."""
        alice, bob = pair
        change = (
            "turn = 0\n"
            "while True:\n"
            "    turn += 1\n"
            "    more = [f'10.9.{turn % 7}.{i}' for i in range(1, 60)]\n"
            "    (n, i), (m, j) = PORTS\n"
            "    hold(driver, Attachment(policy_of(n, '10.9.0.1', *more), i, False, turn),\n"
            "         Attachment(policy_of(m), j, False, 1))\n"
        ).replace("PORTS", repr([(g.number, g.ifindex) for g in pair]))
        for _ in range(5):
            own, forged = from_(alice, bob), from_(alice, bob, "10.8.0.1")
            with holder(world, opened, alice, bob, then=change) as process:
                for _ in range(200):
                    assert world.delivered(alice, bob, own, forged) == [own]
                process.kill()
            assert world.delivered(alice, bob, own, forged) == [own]
        with opened() as driver:
            hold(driver, attach(alice), attach(bob))
            assert not list(driver._maps["addresses"].contents())

    def test_two_at_once_are_one_too_many(self, opened, driver):
        with pytest.raises(DriverError, match="another process holds"):
            opened()
        assert driver.capabilities.features

    def test_an_interface_that_comes_back_is_guarded_anew(self, driver, pair):
        alice, bob = pair
        hold(driver, attach(alice), attach(bob))
        run("ip", "link", "del", alice.tap)
        index = str(alice.ifindex)
        run("ip", "link", "add", alice.tap, "index", index, "type", "veth", "peer", "name", "p")
        wanted = driver.render([attach(alice), attach(bob)])
        assert set(driver.enforced(wanted, driver.observe(None))) == {bob.ifindex}
        hold(driver, attach(alice), attach(bob))

    def test_an_interface_that_is_gone_is_let_go(self, driver, pair):
        alice, bob = pair
        hold(driver, attach(alice), attach(bob))
        run("ip", "link", "del", alice.tap)
        hold(driver, attach(bob))
        assert set(driver.observe(None).ports) == {bob.ifindex}

    def test_down_leaves_nothing(self, world, opened, pair):
        alice, bob = pair
        driver = opened()
        hold(driver, attach(alice), attach(bob))
        driver.remove_all()
        assert not world.bpf_dir.exists()
        forged = from_(alice, bob, mac=mac_of(7))
        assert world.delivered(alice, bob, forged) == [forged]


class TestUpgrade:
    def test_a_new_program_takes_the_place_of_the_old(self, world, opened, pair, monkeypatch):
        alice, bob = pair
        with opened() as driver:
            hold(driver, attach(alice), attach(bob))
        monkeypatch.setattr(ObjectFile, "code_digest", "another0code")
        own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
        with opened() as driver:
            change = driver.diff(driver.render([attach(alice), attach(bob)]), driver.observe(None))
            assert set(change.ports) == {alice.ifindex, bob.ifindex}
            assert world.delivered(alice, bob, forged, own) == [own]
            driver.apply(change)
            for guest in pair:
                assert len(programs_at(driver, guest)) == 2
            assert world.delivered(alice, bob, forged, own) == [own]
            assert driver.observe(None).leftovers == frozenset()
            assert len(list(world.bpf_dir.iterdir())) == 4

    def test_a_new_layout_is_filled_before_it_takes_over(self, world, opened, pair, monkeypatch):
        alice, bob = pair
        with opened() as driver:
            hold(driver, attach(alice), attach(bob))
        monkeypatch.setattr(ObjectFile, "code_digest", "another0code")
        monkeypatch.setattr(ObjectFile, "layout_digest", lambda *_: "another0maps")
        own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
        with opened() as driver:
            assert world.delivered(alice, bob, forged, own) == [own]
            assert len(list(world.bpf_dir.iterdir())) == 7
            hold(driver, attach(alice), attach(bob))
            assert world.delivered(alice, bob, forged, own) == [own]
            assert len(list(world.bpf_dir.iterdir())) == 4

    def test_another_size_of_the_table_of_connections_is_another_table(self, world, pair):
        alice, bob = pair
        own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
        for wanted, room in ((0, None), (1000, 1024), (1024, 1024), (1025, 2048)):
            with EbpfDriver(world.bpf_dir, connections=wanted) as driver:
                assert world.delivered(alice, bob, forged, own) == [own] or not wanted
                hold(driver, attach(alice), attach(bob))
                with driver.connections() as table:
                    assert room in (None, table.capacity)
            assert world.delivered(alice, bob, forged, own) == [own]
            assert len(list(world.bpf_dir.iterdir())) == 4
