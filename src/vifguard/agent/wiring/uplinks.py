"""Checks at start that physical networks can leave this host by the operator's devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vifguard.bridging.bridge import is_ours
from vifguard.kernel.net.bridge import SERVICE_TAG, Bridges
from vifguard.kernel.net.link import BRIDGE, Link, Links

_MASTERS = {"bond": "part of", "team": "part of", BRIDGE: "a member of"}
_NO_BRIDGE_OF_LINUX = frozenset({"openvswitch", "ovs-system"})


def why_not(physical: Mapping[str, str]) -> str:
    """Why a device cannot be the uplink or bridge of a network in `physical`; empty where all can.

    `physical` maps names to devices. The reason names the remedy. Raises OSError where the host
    cannot be read.
    """
    with Links() as links, Bridges() as bridges:
        here = {link.name: link for link in links.all()}
        by_index = {link.index: link for link in here.values()}
        for name, device in physical.items():
            link = here.get(device)
            if link is None:
                return _missing(name, device, here.values())
            why = _taken_twice(name, device, physical)
            master = by_index.get(link.master)
            why = why or _why_no_uplink(name, link, master)
            why = why or (_why_no_bridge(link, bridges) if link.kind == BRIDGE else "")
            if not why and link.kind != BRIDGE and (own := links.addresses(link.index)):
                why = (
                    f"--physical {name}={device}: the host itself has {own[0]} on {device}, and "
                    f"would lose it: make a bridge, put {device} into it and the host's addresses "
                    f"on it, and say --physical {name}=BRIDGE"
                )
            if why:
                return why
    return ""


def _missing(name: str, device: str, links: Iterable[Link]) -> str:
    bridges = sorted(link.name for link in links if link.kind == BRIDGE and not is_ours(link))
    there = f"; bridges here: {', '.join(bridges)}" if bridges else ""
    return f"--physical {name}={device}: this host has no device {device}{there}"


def _taken_twice(name: str, device: str, physical: Mapping[str, str]) -> str:
    others = [other for other, its in physical.items() if its == device and other != name]
    if not others:
        return ""
    return f"--physical {name}={device}: {others[0]} is mapped to {device} too; one network each"


def _why_no_uplink(name: str, link: Link, master: Link | None) -> str:
    given = f"--physical {name}={link.name}"
    if is_ours(link):
        return f"{given}: {link.name} is a bridge that vifguard made for a network"
    if link.mac is None or link.loopback or link.kind in _NO_BRIDGE_OF_LINUX:
        return f"{given}: {link.name} is neither a bridge of Linux nor an Ethernet device"
    if master is not None and not is_ours(master) and master.kind in _MASTERS:
        word = _MASTERS[master.kind]
        return f"{given}: {link.name} is {word} {master.name}: say --physical {name}={master.name}"
    return ""


def _why_no_bridge(link: Link, bridges: Bridges) -> str:
    settings = bridges.settings(link.index)
    if settings is None or not settings.vlan_filtering:
        return ""
    if settings.vlan_protocol == SERVICE_TAG and not settings.default_vlan:
        return ""  # as our own filter of its members leaves the bridge
    return (
        f"bridge {link.name} filters by VLANs itself, and its members are of several networks: "
        f"give each VLAN a bridge of its own (over {link.name}.VID), and name that"
    )
