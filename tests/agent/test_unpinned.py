"""Guards whose pins go while no agent lives: they stay, and the next start knows them."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.host import Host, hosts
from tests.agent.misfortunes import detach, hooks, index
from tests.agent.netns import eventually, within
from tests.agent.ports import BROADCAST, address_of, forged, legal, mac_of, port, port_id

from vifguard.agent.host.teardown import teardown
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.enforce.ebpf.guarded_interfaces import guarded
from vifguard.kernel import probe
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.model.address import parse_prefix
from vifguard.model.guard import Guard, Profile
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction
from vifguard.packet.build import ethernet, ipv4, udp

pytestmark = pytest.mark.kernel

_starts = itertools.count(1000, 100)


@pytest.fixture
def host() -> Iterator[Host]:
    """Guest 1, strict, and guest 2, who hears all; the agent was killed."""
    if not probe.has_tcx():
        pytest.skip("this kernel has no TCX; clsact filters need no pins")
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


def degraded(host: Host) -> Iterator[str]:
    """Each reason that the agent has told of what it cannot do."""
    for report in list(host.reports):
        yield from report.about.degraded if report.about else ()


def is_guarded_by(host: Host, before: list[tuple[int, ...]]) -> bool:
    """Whether other programs than before stand there, one at a hook."""
    there = hooks(host)
    return [len(each) for each in there] == [1, 1] and not {*there} & {*before}


def test_pins_that_are_removed_open_nothing_and_are_made_by_the_next_start(host: Host) -> None:
    before = hooks(host)
    shutil.rmtree(host.bpf_dir)
    assert heard(host) == [legal(1)]
    assert hooks(host) == before
    host.start()
    host.enforced(1, 2)
    assert is_guarded_by(host, before)
    assert heard(host) == [legal(1)]
    host.kill()
    before = hooks(host)
    host.start()
    host.enforced(1, 2)
    assert hooks(host) == before


def test_a_port_with_groups_whose_pins_go_passes_no_new_connection(host: Host) -> None:
    """The kernel empties the map by which groups are asked, as nobody holds it any more."""
    anything = Rule(Direction.FROM_GUEST, 4, None, None, None, None)
    guards = port(1).policy.guards | {Guard.SECURITY_GROUPS}
    host.groups = {"g": frozenset({anything})}
    host.ports[port_id(1)] = port(1, guards=guards, security_groups=frozenset({"g"}))
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]
    host.kill()
    shutil.rmtree(host.bpf_dir)
    eventually(lambda: not any(map(host.guests[1].ear.hears, sent_anew(host))))
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]


def sent_anew(host: Host) -> list[bytes]:
    """Datagrams of guest 1, each the first of a connection."""
    start = next(_starts)
    sent = [
        ethernet(
            str(mac_of(1)), BROADCAST, ipv4(address_of(1), "255.255.255.255", udp(start + n, 7))
        )
        for n in range(100)
    ]
    for frame in sent:
        host.guests[0].send(frame)
    return sent


def test_a_program_that_is_detached_is_put_back_by_the_next_start(host: Host) -> None:
    """Until then its port is open: nothing stands behind it."""
    for where in AttachType:
        detach(host, where)
    assert heard(host) == [forged(1), legal(1)]
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]


def test_another_agents_are_neither_touched_nor_counted(host: Host, tmp_path: Path) -> None:
    """Two agents of one host pin apart."""
    before, other = hooks(host), tmp_path / "other"
    bpffs.mount(tmp_path)
    try:
        for way in (True, False):
            with within(host.name, lambda way=way: EbpfDriver(other, tcx=way)) as driver:
                assert not within(host.name, lambda: driver.observe(None)).ports
                within(host.name, driver.remove_all)
        assert not within(host.name, lambda: guarded(other))
    finally:
        bpffs.unmount(tmp_path)
    assert index(host) in within(host.name, lambda: guarded(host.bpf_dir))
    assert hooks(host) == before
    assert heard(host) == [legal(1)]


def test_guards_whose_pins_are_in_a_directory_of_another_name_by_now(host: Host) -> None:
    """They would go on dropping, by what they last knew, what the new ones let by."""
    before = hooks(host)
    aside = host.bpf_dir.with_name(f"{host.bpf_dir.name}-aside")
    host.bpf_dir.rename(aside)
    try:
        both = frozenset({parse_prefix("10.9.0.1"), parse_prefix("10.9.0.99")})
        host.ports[port_id(1)] = port(1, prefixes=both)
        host.start()
        host.enforced(1, 2)
        assert heard(host) == [forged(1), legal(1)]
        assert is_guarded_by(host, before)
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
    with within(host.name, lambda: EbpfDriver(host.bpf_dir, tcx=way)) as driver:
        within(host.name, driver.remove_all)
    assert hooks(host) == [(), ()]


def test_a_teardown_opens_no_map(host: Host) -> None:
    """A pin that was swapped keeps an agent from starting, and nobody from removing the guards."""
    (directory,) = host.bpf_dir.glob("maps-*")
    (directory / "entries").unlink()
    (directory / "slots").rename(directory / "entries")
    within(host.name, lambda: teardown(host.settings))
    assert hooks(host) == [(), ()]
    assert not host.bpf_dir.exists()
    host.start()
    host.enforced(1, 2)
    assert heard(host) == [legal(1)]


@pytest.mark.parametrize("lost", ["pins", "layout"])
def test_the_ports_of_guards_whose_maps_are_unknown_are_not_taken_for_none(
    host: Host, lost: str
) -> None:
    """Another store without a port begins where the pins are gone, or the maps are of a build."""
    before = hooks(host)
    if lost == "pins":
        shutil.rmtree(host.bpf_dir)
    else:
        for path in host.bpf_dir.glob("maps-*"):
            path.rename(path.with_name("maps-0123456789ab"))
    host.ports = {}
    host.start()
    eventually(lambda: any("knows only 0 of the 2 ports" in why for why in degraded(host)))
    assert hooks(host) == before
    assert heard(host) == [legal(1)]
