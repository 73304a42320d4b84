"""An interface that another port gets, or that another bridge does: no frame passes in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from tests.agent.guest import Guest
from tests.agent.host import Host, hosts
from tests.agent.netns import eventually
from tests.agent.ports import forged, legal, port, port_id, tap_of

from vifguard.feed.messages import HostPort
from vifguard.feed.segment import Flat
from vifguard.model.guard import GUARDS_OF, Profile

pytestmark = pytest.mark.kernel
LAN = {"shared": True, "mtu": 1500, "kind": Flat("lan")}
LOCAL = {"shared": True, "mtu": 1500}
TURNS = 8

Ports = Mapping[int, HostPort]


@pytest.fixture
def host() -> Iterator[Host]:
    """A host with a bridge of the operator's, `br0`, and two guests."""
    with hosts({"lan": "br0"}) as host:
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "br0", "up")
        for number in (1, 2):
            host.guest(number).plug()
        yield host


@pytest.fixture(params=[LOCAL, LAN], ids=["own", "operators"])
def sides(request: pytest.FixtureRequest) -> tuple[Ports, Ports]:
    """The ports before and after: port 8, which may everything, gets the interface of port 1.

    The network of port 1, where 2 listens, has a bridge of ours, or is the operator's.
    """
    listening = {2: port(2, profile=Profile.OFF, segment=request.param)}
    other = port(8, network=2, profile=Profile.OFF, interface=tap_of(1))
    return listening | {1: port(1, segment=request.param)}, listening | {8: other}


def want(host: Host, ports: Ports) -> None:
    """Have these be all ports of the host."""
    host.revision += 1
    host.ports = {
        port_id(number): replace(each, revision=host.revision) for number, each in ports.items()
    }


def passes(sender: Guest, listener: Guest, frame: bytes) -> None:
    eventually(lambda: sender.send(frame) or listener.ear.hears(frame))


@pytest.mark.parametrize("is_restarted", [False, True], ids=["told", "started"])
def test_the_policy_of_another_port_never_holds_in_the_former_network(host, sides, is_restarted):
    """The agent is told of the change, or learns of it as it starts."""
    want(host, sides[0])
    host.start()
    host.enforced(*sides[0])
    sender, listener = host.guests
    passes(sender, listener, legal(1))
    flood = sender.flood(forged(1))
    eventually(sender.is_flooding)
    for turn in range(1, TURNS + 1):
        ports = sides[turn % 2]
        want(host, ports)
        if is_restarted:
            host.kill()
            host.start(complete=False)
        host.send_all()
        host.enforced(*ports)
        assert forged(1) not in listener.ear.heard()
    passes(sender, listener, legal(1, b"back"))
    assert flood.end() > 100
    assert forged(1) not in listener.ear.heard()


def test_a_port_whose_policy_alone_changes_loses_no_frame(host, sides):
    want(host, sides[0])
    host.start()
    host.enforced(*sides[0])
    sender, listener = host.guests
    passes(sender, listener, legal(1))
    sent = []
    for turn in range(TURNS):
        profile = (Profile.OFF, Profile.STRICT)[turn % 2]
        policy = replace(sides[0][1].policy, guards=GUARDS_OF[profile])
        host.set(replace(sides[0][1], policy=policy))
        while not host.report(1):
            sent.append(legal(1, b"number %d" % len(sent)))
            sender.send(sent[-1])
    heard = {*listener.ear.until(*sender.send_marks())}
    assert [number for number, frame in enumerate(sent) if frame not in heard] == []
