"""Guests: a namespace with a real Linux stack, whose interface ends in a host namespace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from vifguard.kernel.net import sysctl
from vifguard.lab.world import netns
from vifguard.model.address import Mac

_GUEST = {
    # A victim that would configure itself by the attacker's advertisements, or that spends a
    # second on DAD, proves nothing about the guard.
    "ipv6/conf/{}/accept_dad": "0",
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/addr_gen_mode": "0",
    "ipv6/conf/{}/use_tempaddr": "0",
    "ipv6/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/rp_filter": "0",
}
# A reply counts even in the very tick of the last update: the victim is as weak as can be.
_GULLIBLE = {"ipv4/neigh/{}/locktime": "-1"}
_MUTED = {"ipv6/conf/{}/disable_ipv6": "1"}


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface inside a guest, and its end in the host's namespace."""

    netns: str
    device: str
    host_netns: str
    host_device: str
    mac: Mac


def make_guest(name: str) -> None:
    """A namespace for a guest; `all` settings come before its first device."""
    netns.add(name)
    netns.within(name, lambda: sysctl.write("all", {"ipv6/conf/{}/accept_ra": "0"}))
    netns.within(name, lambda: sysctl.write("default", _GUEST))


def make_host(name: str) -> None:
    """A namespace for a host: bridged frames go through no firewall but the guards."""
    netns.add(name)
    netns.within(name, lambda: sysctl.write("", _NO_BRIDGE_FIREWALL))


_NO_BRIDGE_FIREWALL = {
    f"bridge/bridge-nf-call-{tables}": "0" for tables in ("iptables", "ip6tables", "arptables")
}


def plug(
    interface: Interface, *, mtu: int = 1500, muted: bool = False, offloads: bool = True
) -> None:
    """Make the pair and raise both ends at once, as a hypervisor does.

    `muted` turns the guest's own IPv6 off before: it sends nothing that a test did not. A guest
    without `offloads` receives frames as an e1000 or firmware does, complete.
    """
    ends = (
        f"{interface.host_device} mtu {mtu} type veth",
        f"name {interface.device} netns {interface.netns} mtu {mtu}",
    )
    netns.ip(
        [f"link add {' peer '.join(ends)}", f"link set {interface.host_device} up"],
        interface.host_netns,
    )
    if not offloads:
        off = ("ethtool", "-K", interface.host_device, "tx", "off")
        netns.run(off, netns=interface.host_netns)
    settings = _GULLIBLE | (_MUTED if muted else {})
    netns.within(interface.netns, lambda: sysctl.write(interface.device, settings))
    netns.ip(
        [f"link set {interface.device} address {interface.mac} up"],
        interface.netns,
    )


def unplug(interface: Interface) -> None:
    """Remove the pair."""
    netns.ip([f"link del {interface.device}"], interface.netns)


def give(interface: Interface, addresses: Iterable[IPv4Interface | IPv6Interface]) -> None:
    """Configure addresses inside the guest."""
    netns.ip(
        [
            f"addr add {address} dev {interface.device}"
            + (" nodad" if address.version == 6 else "")
            for address in addresses
        ],
        interface.netns,
    )
