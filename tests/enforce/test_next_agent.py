"""What the next agent finds, of this build or another, and what it makes of it."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.enforce.driver_ports import from_, programs_at
from tests.enforce.guarded_port import attach, hold, mac_of, run

from vifguard.enforce.driver.protocol import DriverError
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel.bpf.elf import ObjectFile

pytestmark = pytest.mark.kernel


@pytest.fixture
def driver(opened):
    it = opened()
    yield it
    it.remove_all()


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
        assert driver.capabilities.mechanism

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
            assert len(list(world.bpf_dir.iterdir())) == 5

    def test_a_new_layout_is_filled_before_it_takes_over(self, world, opened, pair, monkeypatch):
        alice, bob = pair
        with opened() as driver:
            hold(driver, attach(alice), attach(bob))
        monkeypatch.setattr(ObjectFile, "code_digest", "another0code")
        monkeypatch.setattr(ObjectFile, "layout_digest", lambda *_: "another0maps")
        own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
        with opened() as driver:
            assert world.delivered(alice, bob, forged, own) == [own]
            assert len(list(world.bpf_dir.iterdir())) == 8
            hold(driver, attach(alice), attach(bob))
            assert world.delivered(alice, bob, forged, own) == [own]
            assert len(list(world.bpf_dir.iterdir())) == 5

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
            assert len(list(world.bpf_dir.iterdir())) == 5
