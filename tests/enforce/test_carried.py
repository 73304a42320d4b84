"""Connections of a guest whose guard is new, or of another build, go on."""

from dataclasses import replace
from functools import partial

import pytest
from tests.enforce.guarded_port import attach, hold

from vifguard.enforce.driver.protocol import RulesetChange
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.maps.global_config import GlobalConfig
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.security_group import PortRange, Rule
from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.semantics.tcp import ACK, SYN

pytestmark = pytest.mark.kernel

VERSIONS = (4, 6)
MARKS = frozenset({Rule(Direction.TO_GUEST, 4, 17, ports=PortRange(9, 9))})
"""Beside the frames that tell when all others have come through, nothing opens anything."""
OUT = MARKS | {Rule(Direction.FROM_GUEST, version) for version in VERSIONS}
"""The guest may open anything, and nobody else."""
GROUPED = {"guards": GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}}
HERS, HIS = 1000, 5000
PINNED = 5
"""Maps, connections, programs, which pins these are, and which namespace is guarded."""


@pytest.fixture(params=[True, False], ids=["tcx", "clsact"])
def opened(world, request):
    return partial(EbpfDriver, world.bpf_dir, tcx=request.param)


@pytest.fixture
def pair(world):
    return world.guest(1), world.guest(2)


@pytest.fixture
def other_layout(monkeypatch):
    """Another build: every map has another layout, or every one but those of connections."""

    def begin(*, carried):
        mine = ObjectFile.layout_digest

        def digest(self, names):
            kept = carried and "flows" in names and "entries" not in names
            return mine(self, names) if kept else "0123456789ab"

        monkeypatch.setattr(ObjectFile, "layout_digest", digest)
        monkeypatch.setattr(ObjectFile, "code_digest", "ba9876543210")

    return begin


def segment(version, sender, receiver, flags, *, sequence, acknowledged=0, data=b"", port=80):
    """Of Alice's connection to Bob's port."""
    ports = (4000, port) if sender.number == 1 else (port, 4000)
    numbers = {"sequence": sequence, "acknowledged": acknowledged}
    tcp = build.tcp(*ports, data, flags=flags, **numbers)
    make, prefix = (build.ipv4, "10.9.0.") if version == 4 else (build.ipv6, "fd00:9::")
    ends = (f"{prefix}{sender.number}", f"{prefix}{receiver.number}")
    return build.ethernet(sender.mac, receiver.mac, make(*ends, tcp))


def connect(world, alice, bob, version):
    """A handshake that passes."""
    said = partial(segment, version)
    syn = said(alice, bob, SYN, sequence=HERS)
    answer = said(bob, alice, SYN | ACK, sequence=HIS, acknowledged=HERS + 1)
    ack = said(alice, bob, ACK, sequence=HERS + 1, acknowledged=HIS + 1)
    assert world.delivered(alice, bob, syn) == [syn]
    assert world.delivered(bob, alice, answer) == [answer]
    assert world.delivered(alice, bob, ack) == [ack]


def data(version, alice, bob, port=80):
    """What Bob sends next, unasked."""
    numbers = {"sequence": HIS + 1, "acknowledged": HERS + 1}
    return segment(version, bob, alice, ACK, **numbers, data=b"news", port=port)


def guard(driver, alice, bob, rules=OUT, **more):
    driver.load_ruleset(RulesetChange(complete=True, groups={"g": rules}, sets={}))
    grouped = attach(alice, security_groups=frozenset({"g"}), **GROUPED)
    hold(driver, replace(grouped, **more), attach(bob))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_known_of_connections_is_taken_over(world, opened, pair, other_layout, version):
    alice, bob = pair
    with opened() as driver:
        guard(driver, alice, bob)
        connect(world, alice, bob, version)
    other_layout(carried=True)
    known, strange = data(version, alice, bob), data(version, alice, bob, port=81)
    with opened() as driver:
        assert world.delivered(bob, alice, known, strange) == [known]
        guard(driver, alice, bob)
        assert world.delivered(bob, alice, known, strange) == [known]
        assert len(list(world.bpf_dir.iterdir())) == PINNED
        driver.remove_all()


@pytest.mark.parametrize("version", VERSIONS)
def test_not_what_the_rules_of_the_new_build_do_not_allow(
    world, opened, pair, other_layout, version
):
    alice, bob = pair
    with opened() as driver:
        guard(driver, alice, bob)
        connect(world, alice, bob, version)
    other_layout(carried=True)
    known = data(version, alice, bob)
    with opened() as driver:
        driver.load_ruleset(RulesetChange(complete=True, groups={"g": MARKS}, sets={}))
        assert world.delivered(bob, alice, known) == [known]  # by the old program and rules
        guard(driver, alice, bob, rules=MARKS)
        assert world.delivered(bob, alice, known) == []
        driver.remove_all()


@pytest.mark.parametrize("version", VERSIONS)
def test_without_them_either_side_may_speak_first(world, opened, pair, other_layout, version):
    alice, bob = pair
    with opened() as driver:
        guard(driver, alice, bob)
        connect(world, alice, bob, version)
    other_layout(carried=False)
    known = data(version, alice, bob)
    opening = segment(version, bob, alice, SYN, sequence=HIS, port=81)
    with opened() as driver:
        guard(driver, alice, bob)
        assert world.delivered(bob, alice, known, opening) == [known]
        driver.remove_all()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("running", [True, False])
def test_a_guest_that_ran_before_its_guard_goes_on(world, opened, pair, version, running):
    """And of one that did not nobody knows a connection."""
    alice, bob = pair
    known = data(version, alice, bob)
    opening = segment(version, bob, alice, SYN, sequence=HIS, port=81)
    with opened() as driver:
        guard(driver, alice, bob, running=running)
        assert world.delivered(bob, alice, known, opening) == ([known] if running else [])
        driver.remove_all()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_kill_before_connections_were_told_saves_none(world, opened, pair, monkeypatch, version):
    """The rules are gone, and the next agent finds them as they should be."""
    alice, bob = pair
    with opened() as driver:
        guard(driver, alice, bob)
        connect(world, alice, bob, version)
    known = data(version, alice, bob)
    with opened() as driver, monkeypatch.context() as killed:
        killed.setattr(GlobalConfig, "raise_generation", lambda _: None)
        guard(driver, alice, bob, rules=MARKS)
        assert world.delivered(bob, alice, known) == [known]
    with opened() as driver:
        guard(driver, alice, bob, rules=MARKS)
        assert world.delivered(bob, alice, known) == []
        driver.remove_all()
