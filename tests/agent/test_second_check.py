"""A guard's program that goes while no agent lives: what stands behind it passes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.guest import Guest
from tests.agent.host import Host, hosts
from tests.agent.misfortunes import hooks, index, unlink
from tests.agent.netns import eventually, within
from tests.agent.ports import forged, legal, port, port_id

from vifguard.enforce.ebpf import EbpfDriver
from vifguard.enforce.second_check import NAME
from vifguard.kernel import bpffs, probe, tcx
from vifguard.kernel.bpf import Program
from vifguard.kernel.tcx import AttachType, Link
from vifguard.model.address import parse_prefix
from vifguard.model.guard import Profile
from vifguard.model.port import PortState

pytestmark = pytest.mark.kernel

OTHER_BUILD = bytes.fromhex("b7000000020000009500000000000000")
"""`r0 = 2; exit`: drops all that it sees."""


@pytest.fixture
def host() -> Iterator[Host]:
    """Guest 1, strict, and guest 2, who hears all; the agent was killed."""
    if not probe.has_tcx():
        pytest.skip("this kernel has no TCX, and so no second check")
    with hosts() as host:
        for number in (1, 2):
            host.guest(number).plug()
        host.ports = {port_id(1): port(1), port_id(2): port(2, profile=Profile.OFF)}
        host.start()
        host.enforced(1, 2)
        assert heard(host) == [legal(1)]
        host.kill()
        yield host


def heard(host: Host) -> list[bytes]:
    """What guest 2 hears of what guest 1 sends: a forged frame and one that it may send."""
    one, two = host.guests
    return one.heard_by(two, forged(1), legal(1))


def hears_nothing(hearer: Guest, sender: Guest) -> bool:
    """Whether nothing of what a guest may send comes to another, however often it is sent."""
    hearer.ear.heard()
    for _ in range(1000):
        sender.send(legal(sender.number))
    return not hearer.ear.heard()


def test_pins_that_are_removed_close_the_port_until_an_agent_is_back(host: Host) -> None:
    shutil.rmtree(host.bpf_dir)
    eventually(lambda: [len(programs) for programs in hooks(host)] == [1, 1])
    assert hears_nothing(host.guests[1], host.guests[0])
    assert hears_nothing(host.guests[0], host.guests[1])
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]
    assert [len(programs) for programs in hooks(host)] == [2, 2]


def test_a_link_that_is_detached_closes_its_direction(host: Host) -> None:
    one, two = host.guests
    unlink(host, "egress")
    assert heard(host) == [legal(1)]
    assert hears_nothing(one, two)
    unlink(host, "ingress")
    assert hears_nothing(two, one)
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]
    assert two.heard_by(one, legal(2)) == [legal(2)]


def test_that_of_another_build_is_replaced_and_removed(host: Host) -> None:
    """Two of them would agree on nothing: the second drops what the first let by."""
    host.start()
    host.enforced(1, 2)
    with Program.load(NAME, OTHER_BUILD, "GPL") as other:
        within(host.name, lambda: put_in_place(host, other))
        eventually(lambda: other.id not in {i for programs in hooks(host) for i in programs})
    host.until(1, PortState.ENFORCED)
    assert heard(host) == [legal(1)]
    assert [len(programs) for programs in hooks(host)] == [2, 2]


def put_in_place(host: Host, other: Program) -> None:
    """Let another program stand where the second check of guest 1 does, at ingress."""
    at, where = index(host), AttachType.TCX_INGRESS
    with (
        Link.open(host.bpf_dir / "links" / f"{at}-ingress") as link,
        Program.by_id(tcx.attached(at, where)[1]) as check,
    ):
        tcx.detach(check, at, where)
        tcx.attach_behind(other, link, at, where)


def test_another_agents_are_not_touched(host: Host, tmp_path: Path) -> None:
    """Two agents of one host pin apart: what is behind a guard is that guard's."""
    bpffs.mount(tmp_path)
    try:
        with within(host.name, lambda: EbpfDriver(tmp_path / "other")) as driver:
            assert not within(host.name, lambda: driver.observe(None)).ports
            within(host.name, driver.remove_all)
    finally:
        bpffs.unmount(tmp_path)
    assert [len(programs) for programs in hooks(host)] == [2, 2]
    assert heard(host) == [legal(1)]


def test_a_guard_whose_pins_nobody_reaches_is_ended(host: Host) -> None:
    """It would go on dropping, by what it last knew, what the new one lets by."""
    aside = host.bpf_dir.with_name(f"{host.bpf_dir.name}-aside")
    host.bpf_dir.rename(aside)
    try:
        both = frozenset({parse_prefix("10.9.0.1"), parse_prefix("10.9.0.99")})
        host.ports[port_id(1)] = port(1, prefixes=both)
        host.start()
        host.enforced(1, 2)
        assert heard(host) == [forged(1), legal(1)]
        assert [len(programs) for programs in hooks(host)] == [2, 2]
    finally:
        shutil.rmtree(aside)


def test_a_port_that_is_gone_by_then_leaves_nothing(host: Host) -> None:
    shutil.rmtree(host.bpf_dir)
    del host.ports[port_id(1)]
    host.start()
    host.enforced(2)
    eventually(lambda: hooks(host) == [(), ()])


@pytest.mark.parametrize("way", [True, False], ids=["tcx", "clsact"])
def test_what_is_left_without_pins_is_removed_whatever_way_is_used_then(
    host: Host, *, way: bool
) -> None:
    shutil.rmtree(host.bpf_dir)
    # The kernel ends links in a queue of work.
    eventually(lambda: [len(programs) for programs in hooks(host)] == [1, 1])
    with within(host.name, lambda: EbpfDriver(host.bpf_dir, tcx=way)) as driver:
        within(host.name, driver.remove_all)
    assert hooks(host) == [(), ()]
