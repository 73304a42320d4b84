"""Pins that somebody swapped while no agent lived: they are not what the next one goes on with."""

import logging

import pytest
from tests.enforce.driver_ports import from_
from tests.enforce.guarded_port import attach, hold, mac_of

from vifguard.enforce.driver.protocol import DriverError
from vifguard.enforce.ebpf.driver import OBJECT, EbpfDriver
from vifguard.enforce.ebpf.removal import Removal
from vifguard.kernel.bpf import skbuff
from vifguard.kernel.bpf.bpf_syscall import Map, Program
from vifguard.kernel.bpf.elf import ObjectFile

pytestmark = pytest.mark.kernel

PASS_ALL = bytes.fromhex("b7000000ffffffff9500000000000000")
"""Returns TC_ACT_UNSPEC."""


def stranger(_code, _name):
    """A program of somebody else's, by the name of ours."""
    return Program.load("from_guest", PASS_ALL, "GPL")


def twin(code, name):
    """The same code, which reads other maps."""
    maps = {each: Map.create(spec) for each, spec in code.maps.items()}
    try:
        return code.load(name, maps)
    finally:
        for each in maps.values():
            each.close()


def compiled():
    reader = skbuff.reader()
    line = {} if reader.stack else {"read_offload": reader.code}
    return ObjectFile(OBJECT.read_bytes(), {"read_offload": reader.function}, line)


@pytest.fixture
def pair(world):
    alice, bob = world.guest(1), world.guest(2)
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(alice), attach(bob))
    return alice, bob


def pins(world, kind):
    (directory,) = world.bpf_dir.glob(f"{kind}-*")
    return directory


@pytest.mark.parametrize("swapped", [stranger, twin, None])
def test_a_swapped_program_is_loaded_anew(world, pair, swapped, caplog) -> None:
    """Or one that was removed. It would be put in the place of the guard that is right."""
    alice, bob = pair
    pin = pins(world, "programs") / "from_guest"
    pin.unlink()
    if swapped:
        with swapped(compiled(), "from_guest") as program:
            program.pin(pin)
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    with caplog.at_level(logging.WARNING), EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(alice), attach(bob))
        assert world.delivered(alice, bob, forged, own) == [own]
    (said,) = caplog.messages
    assert str(pin.parent) in said
    caplog.clear()
    with EbpfDriver(world.bpf_dir) as driver:
        assert driver.diff(driver.render(map(attach, pair)), driver.observe(None)) is None
    assert not caplog.messages


def test_maps_of_one_shape_that_were_swapped_are_refused(world, pair) -> None:
    """Both hold a number of 64 bits for each interface. A removal opens neither."""
    directory = pins(world, "maps")
    (directory / "buckets").rename(directory / "aside")
    (directory / "wanted").rename(directory / "buckets")
    (directory / "aside").rename(directory / "wanted")
    with pytest.raises(DriverError, match="run `vifguard down --release`, and start again"):
        EbpfDriver(world.bpf_dir)
    Removal(world.bpf_dir).remove_all()
    alice, bob = pair
    forged = from_(alice, bob, mac=mac_of(7))
    assert world.delivered(alice, bob, forged) == [forged]
    with EbpfDriver(world.bpf_dir) as driver:
        hold(driver, attach(alice), attach(bob))
        assert world.delivered(alice, bob, forged) == []


@pytest.mark.parametrize(("kind", "name"), [("maps", "counters"), ("connections", "flows")])
def test_maps_of_which_one_was_removed_are_made_anew(world, pair, kind, name, caplog) -> None:
    """Until the next start's programs are put in the place of the guards, these go on."""
    alice, bob = pair
    pin = pins(world, kind) / name
    pin.unlink()
    own, forged = from_(alice, bob), from_(alice, bob, mac=mac_of(7))
    with caplog.at_level(logging.WARNING), EbpfDriver(world.bpf_dir) as driver:
        assert world.delivered(alice, bob, forged, own) == [own]
        hold(driver, attach(alice), attach(bob))
        assert world.delivered(alice, bob, forged, own) == [own]
    assert f"pins of maps are missing at {pin.parent}" in caplog.text
    with EbpfDriver(world.bpf_dir) as driver:
        assert driver.diff(driver.render(map(attach, pair)), driver.observe(None)) is None
