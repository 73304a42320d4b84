"""Every peer's segment: the same guests, with the same MACs and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface

from vifguard.kernel.net import sysctl
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.site import Namespace, Site, VantagePoint
from vifguard.lab.world import netns
from vifguard.lab.world.guest_netns import Interface, give, make_guest, plug
from vifguard.lab.world.lab_run import Run
from vifguard.model.address import Mac

NET4, NET6 = IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:5::/64")
UPLINK = "uplink0"
"""The host's interface behind which somebody outside is."""

_DEVICE = "eth0"
_NAMES = ("attacker", "victim", "third")
_OUTSIDE_MAC = Mac.parse("02:66:00:00:00:01")
# The settings that `make_guest` makes for the namespaces that are made here.
_QUIET = {
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/accept_redirects": "0",
    "ipv4/conf/{}/rp_filter": "0",
    "ipv4/neigh/{}/locktime": "-1",
}


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest: its namespace, its interface's end on the host, its MAC and its addresses."""

    name: str
    netns: str
    tap: str
    mac: Mac
    ip4: IPv4Address
    ip6: IPv6Address

    @property
    def addresses(self) -> tuple[str, str]:
        """Its addresses in text."""
        return str(self.ip4), str(self.ip6)


@dataclass(frozen=True, slots=True)
class Permits:
    """The permissions of the attacker at a host, beside its own MAC and addresses.

    Shared addresses, the virtual MACs that claim them, prefixes that it routes; None where the
    host has no documented way to configure it.
    """

    vip4: IPv4Address | None = None
    vip6: IPv6Address | None = None
    vmac4: Mac | None = None
    vmac6: Mac | None = None
    routed4: IPv4Network | None = None
    routed6: IPv6Network | None = None


VIP4, VIP6 = NET4[200], NET6[0x200]
VMAC4, VMAC6 = Mac.parse("00:00:5e:00:01:33"), Mac.parse("00:00:5e:00:02:34")
ROUTED4, ROUTED6 = IPv4Network("10.66.0.0/24"), IPv6Network("fd66::/64")
EVERYTHING = Permits(VIP4, VIP6, VMAC4, VMAC6, ROUTED4, ROUTED6)
"""The permissions at a host that can configure all."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Three guests, somebody beyond the uplink, and the families that they speak."""

    attacker: Guest
    victim: Guest
    third: Guest
    outside: Guest
    six: bool = True

    @property
    def guests(self) -> tuple[Guest, Guest, Guest]:
        """The guests whose ports the host guards."""
        return self.attacker, self.victim, self.third

    @property
    def taps(self) -> tuple[str, ...]:
        """The host's ends, the uplink's last."""
        return *(guest.tap for guest in self.guests), UPLINK

    def plug(self, host_netns: str, *guests: Guest) -> None:
        """Make guests (all), and for each a pair whose other end is on the host."""
        for guest in guests or (*self.guests, self.outside):
            make_guest(guest.netns)
            plug(_interface(guest, host_netns), muted=not self.six)
            self.configure(guest)

    def configure(self, guest: Guest) -> None:
        """Give a guest its addresses."""
        addresses = [ip_interface(f"{guest.ip4}/{NET4.prefixlen}")]
        if self.six:
            addresses.append(ip_interface(f"{guest.ip6}/{NET6.prefixlen}"))
        give(_interface(guest, ""), addresses)

    def adopt(self, guest: Guest, pid: int) -> None:
        """Name the namespace of a process that somebody else made, as the guest's."""
        netns.ip([f"netns attach {guest.netns} {pid}"])
        netns.within(guest.netns, lambda: sysctl.write(_DEVICE, _QUIET))
        self.configure(guest)

    def site(self, name: str, permits: Permits) -> Site:
        """The host as the audit sees it: asked to hold everything (`strict`)."""
        attacker, victim, third = (self._post(guest) for guest in self.guests)
        return Site(
            name=name,
            attacker=attacker,
            victim=victim,
            third=third,
            level=Kind.STRICT,
            net4=NET4,
            net6=NET6 if self.six else None,
            outside=self._post(self.outside),
            vip4=permits.vip4,
            vip6=permits.vip6,
            vmac4=permits.vmac4,
            vmac6=permits.vmac6,
            routed4=permits.routed4,
            routed6=permits.routed6,
        )

    def _post(self, guest: Guest) -> VantagePoint:
        ip6 = guest.ip6 if self.six else None
        return VantagePoint(guest.name, Namespace(guest.netns, _DEVICE), guest.mac, guest.ip4, ip6)


def segment(run: Run, key: str, *, six: bool = True) -> Segment:
    """The segment of a peer, by the names of a run; nothing is made yet."""
    attacker, victim, third = (
        Guest(
            name,
            run.netns(f"{key}-{name}"),
            # As OpenStack names taps: eleven characters of an id, of which Neutron's chains
            # bear only the first ten.
            f"tap0000000{number}-00",
            Mac.parse(f"fa:16:3e:00:00:0{number}"),
            NET4[10 + number],
            NET6[0x10 + number],
        )
        for number, name in enumerate(_NAMES, 1)
    )
    outside = Guest("outside", run.netns(f"{key}-outside"), UPLINK, _OUTSIDE_MAC, NET4[1], NET6[1])
    return Segment(attacker, victim, third, outside, six)


def _interface(guest: Guest, host_netns: str) -> Interface:
    return Interface(guest.netns, _DEVICE, host_netns, guest.tap, guest.mac)
