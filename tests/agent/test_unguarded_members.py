"""Whom a start names before it cuts anybody off: of the bridges that are mapped, if it can."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.agent.host import Host, hosts
from tests.agent.netns import within

from vifguard.agent.host.capabilities import BridgeFeatures
from vifguard.agent.wiring import unguarded_members
from vifguard.cli.commands import up
from vifguard.cli.exit_codes import InputError
from vifguard.kernel.net.link import Links

pytestmark = pytest.mark.kernel
FILTERS = BridgeFeatures((), by_name=True, vlan_quarantine=False, members="nft")


@pytest.fixture
def host() -> Iterator[Host]:
    """Two bridges with a guest each; a network is mapped to one, the other has a mark."""
    with hosts({"lan": "br0"}) as host:
        for number, bridge in ((1, "br0"), (2, "br1")):
            host.ip("link", "add", bridge, "type", "bridge")
            host.guest(number).plug(f"vnet{number}", bridge=bridge)
        host.ip("link", "add", "marked", "type", "veth", "peer", "name", "far")
        host.ip("link", "set", "marked", "alias", "vifguard port x", "master", "br1")
        yield host


@pytest.fixture
def named(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """The members that a start names, with these settings, on a kernel that can this."""

    def told(wire: BridgeFeatures = FILTERS, **settings: object) -> list[str]:
        caplog.clear()
        monkeypatch.setattr(unguarded_members, "probe_bridges", lambda: wire)
        wanted = replace(host.settings, **settings)
        within(host.name, lambda: unguarded_members.announce_cut(wanted))
        return [record.getMessage().split()[1] for record in caplog.records]

    return told


def test_members_of_mapped_bridges_alone_are_named(named):
    assert named() == ["vnet1"]
    assert named(physical={"lan": "br1"}) == ["vnet2"]
    assert named(trusted=frozenset({"vnet1"})) == []
    assert named(keep_unguarded=True) == []


def test_nobody_is_named_where_the_kernel_filters_no_members(named):
    assert named(replace(FILTERS, members="")) == []


def test_a_host_that_cannot_be_read_ends_the_start_with_a_plain_message(host, monkeypatch):
    def refuse(_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(unguarded_members, "announce_cut", refuse)
    with pytest.raises(InputError, match="cannot be read"):
        up._announce_cut(host.settings)


def test_the_other_end_in_another_namespace_is_no_device_of_this_one(host):
    def lower(name: str) -> int:
        with Links() as links:
            link = links.named(name)
            assert link is not None
            return link.lower

    def index(name: str) -> int:
        return within(host.name, lambda: socket.if_nametoindex(name))

    assert within(host.name, lambda: lower("marked")) == index("far")
    host.ip("link", "set", "far", "netns", host.guest(3).name)
    assert within(host.name, lambda: lower("marked")) == 0
