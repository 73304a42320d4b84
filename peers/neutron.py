"""OpenStack Neutron's iptables firewall driver and ARP protection, without its agent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers.host import standing
from peers.peer import Peer, package
from peers.segment import (
    EVERYTHING,
    ROUTED4,
    ROUTED6,
    VIP4,
    VIP6,
    VMAC4,
    VMAC6,
    Guest,
    segment,
)
from vifguard.kernel.net import sysctl
from vifguard.lab.audit.site import Site
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run
from vifguard.model.guard import Guard

PYTHON = Path(__file__).parents[1] / "build" / "neutron" / "bin" / "python"
"""Of the environment that `make audit-peers` installs Neutron in."""

_WITH_IPV6 = {"ipv6/conf/{}/disable_ipv6": "0"}
_SCRIPT = Path(__file__).with_name("linuxbridge.py")


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """A bridge, and Neutron's rules for each of three ports."""
    members = segment(run, "neutron")
    with standing(run, "neutron", iptables=True) as host:
        members.plug(host.netns)
        host.bridge("brq77777777-aa", members.taps)
        # Neutron writes no rules for IPv6 where new interfaces are configured to have none.
        netns.within(host.netns, lambda: sysctl.write("default", _WITH_IPV6))
        ports = [
            _port(guest, _pairs(guest) if guest is members.attacker else [])
            for guest in members.guests
        ]
        # Isolated: beside the script lies a module of Neutron's name.
        host.run(
            "env", f"XDG_CACHE_HOME={host.folder('cache')}",
            str(PYTHON), "-I", "-W", "ignore", str(_SCRIPT), str(host.folder("state")),
            stdin=json.dumps(ports),
        )  # fmt: skip
        yield members.site("Neutron iptables", EVERYTHING)


def _port(guest: Guest, pairs: list[dict[str, str]]) -> dict[str, Any]:
    """The description of a port for Neutron."""
    return {
        "device": guest.tap,
        "mac_address": str(guest.mac),
        "addresses": guest.addresses,
        "allowed_address_pairs": pairs,
    }


def _pairs(guest: Guest) -> list[dict[str, str]]:
    """Allowed address pairs: shared and routed addresses, with each MAC that uses them.

    A virtual router advertises itself from its virtual MAC and its own address (RFC 9568).
    """
    pairs = {
        guest.mac: (VIP4, VIP6, ROUTED4, ROUTED6),
        VMAC4: (VIP4, guest.ip4),
        VMAC6: (VIP6, guest.ip6, guest.mac.link_local),
    }
    return [
        {"ip_address": str(address), "mac_address": str(mac)}
        for mac, addresses in pairs.items()
        for address in addresses
    ]


def _versions() -> str:
    asked = "from importlib.metadata import version; print(version('neutron'))"
    done = subprocess.run([PYTHON, "-c", asked], capture_output=True, text=True, check=False)
    return f"neutron {done.stdout.strip() or 'not installed'}, {package('iptables')}"


PEER = Peer(
    key="neutron",
    name="Neutron iptables",
    versions=_versions,
    configuration=(
        "`firewall_driver = iptables` with `enable_ipset`, and the Linux bridge agent's ARP and"
        " MAC protection, both called as the agent calls them; port security on, allowed address"
        " pairs for what is shared and routed, a security group that"
        " lets everything in; `bridge-nf-call-iptables` and `-ip6tables` are 1"
    ),
    sources=(
        "https://docs.openstack.org/neutron/2024.2/admin/intro-os-networking.html#security-groups",
        "https://docs.openstack.org/neutron/2024.2/admin/deploy-lb-provider.html",
    ),
    up=up,
    promises={
        Guard.MAC: "only the source MAC of the port",
        Guard.IP: "only the source addresses of the port, and its EUI-64 link-local address",
        Guard.ARP: "separate ARP filtering keeps traffic for another instance from it",
        Guard.DHCP: "no DHCP and DHCPv6 responses from an instance",
        Guard.RA: "no router advertisements from an instance",
    },
    programs=("iptables", "ip6tables", "ebtables", "ipset", str(PYTHON)),
    notes=(
        (
            "2024.2 is the last release with the Linux bridge agent; the firewall driver itself"
            " lives on."
        ),
        (
            "By its documentation it lets neighbour discovery, and non-IP traffic of the port's"
            " MAC, through on purpose."
        ),
    ),
)
