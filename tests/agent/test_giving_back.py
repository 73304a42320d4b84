"""The change that gives an interface back: what it is given back to, and when it is not."""

from __future__ import annotations

from typing import Any

from tests.agent.host_facts import link, mac

from vifguard.agent.host.saved_state import SavedInterface
from vifguard.agent.wiring.giving_back import on_deletion, on_release
from vifguard.bridging.bridge import mark
from vifguard.kernel.net.link import Link, LinkChange

BRIDGE, OURS = link(9, "br0", kind="bridge"), link(8, "vg00000001-11", kind="bridge")
HERE = {9: BRIDGE, 8: OURS}
PORT = mark("a-port")


def saved(**found: Any) -> SavedInterface:
    as_found = {"master": 9, "up": True, "mtu": 1400, "mac": str(mac(5)), "alias": "theirs"}
    return SavedInterface(5, **as_found | found)


def wired(**present: Any) -> Link:
    return link(5, "vnet0", 5, **{"master": 9, "up": True, "mtu": 1500, "alias": PORT} | present)


def as_found(**more: Any) -> LinkChange:
    return LinkChange(5, mtu=1400, mac=mac(5), alias="theirs", **more)


def test_into_a_bridge_that_holds_it_back_it_goes_as_it_was():
    assert on_deletion(wired(), saved(), HERE, lambda _: True) == as_found()
    assert on_deletion(wired(master=8), saved(), HERE, lambda _: True) == as_found(master=9)
    assert on_deletion(wired(), saved(up=False), HERE, lambda _: True) == as_found(up=False)


def test_a_deletion_frees_no_guest_of_its_guard():
    nowhere = as_found(master=0, up=False)
    assert on_deletion(wired(), saved(), HERE, lambda _: False) == nowhere
    assert on_deletion(wired(), saved(), {8: OURS}, lambda master: master is not None) == nowhere


def test_a_release_gives_the_guest_its_network_back():
    assert on_release(wired(master=8), saved(), HERE) == as_found(master=9)
    assert on_release(wired(), saved(up=False), HERE) == as_found()
    assert on_release(wired(), saved(master=0), HERE) == as_found()


def test_what_only_our_bridge_connected_is_unconnected_again_as_it_was():
    assert on_release(wired(master=8), saved(master=0), HERE) == as_found(master=0)
    was_down = saved(master=0, up=False)
    assert on_release(wired(master=8), was_down, HERE) == as_found(master=0, up=False)


def test_of_a_hands_off_interface_the_mark_goes_and_nothing_else_whatever_became_of_it():
    found = saved(hands_off=True, alias="")
    for change in (on_release(wired(), found, HERE), on_deletion(wired(), found, {}, lambda _: 0)):
        assert change == LinkChange(5, alias="")
    assert on_release(wired(alias="theirs"), found, HERE) == LinkChange(5)
