"""The members of a bridge of the operator's, as the kernel, leases and frames show them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from select import poll

from vifguard.agent.placement import is_libvirts
from vifguard.agent.state import is_of_guest
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.bridging.uplinks import leads_out
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.capture import Capture, Captured
from vifguard.kernel.net.link import BRIDGE, Link, Links
from vifguard.kernel.net.neighbour import gateways, neighbours
from vifguard.model.address import IPAddress, Mac
from vifguard.packet.arp import Arp
from vifguard.packet.frame import Frame, parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6
from vifguard.survey.server_objects import Plugged


@dataclass(slots=True)
class SurveyedMember:
    """One member of the bridge. `macs` are those behind it, by how often each was seen.

    `addresses` are those of each MAC. `port_id` is the port that has it already, or empty.
    `own` is the MAC of the interface itself. `domain` is libvirt's name of the guest, or empty.
    """

    name: str
    kind: str
    own: Mac | None
    leads_out: bool
    port_id: str
    domain: str = ""
    macs: Counter[Mac] = field(default_factory=Counter)
    addresses: dict[Mac, set[IPAddress]] = field(default_factory=dict)

    def note_address(self, mac: Mac, address: IPAddress) -> None:
        """Note an address of a MAC."""
        if not (address.is_unspecified or address.is_multicast or address.is_link_local):
            self.addresses.setdefault(mac, set()).add(address)

    @property
    def mac(self) -> Mac | None:
        """The MAC that was seen most; None where none was."""
        return min(self.macs, key=lambda mac: (-self.macs[mac], mac.octets), default=None)

    @property
    def is_renamed(self) -> bool:
        """Whether it has another name at its guest's next start, and is found by its MAC."""
        own, mac = self.own, self.mac
        return bool(own and mac and is_of_guest(own, mac)) and is_libvirts(self.name)


@dataclass(frozen=True, slots=True)
class Survey:
    """A bridge, the host's own addresses and gateways on it, and its members by name."""

    bridge: str
    mtu: int
    own: tuple[IPv4Interface | IPv6Interface, ...]
    gateways: tuple[IPAddress, ...]
    members: Mapping[str, SurveyedMember]

    @property
    def guests(self) -> list[SurveyedMember]:
        """The members that do not lead out of the host."""
        return [each for each in self.members.values() if not each.leads_out]


def survey(
    bridge: str,
    seconds: float,
    trusted: Collection[str] = (),
    known: Mapping[str, Plugged] | None = None,
    leases: Iterable[tuple[IPAddress, Mac]] = (),
) -> Survey:
    """Survey a bridge, and for some seconds the frames that its guests send.

    `known` are a hypervisor's records, by interface. ValueError where there is no such bridge;
    OSError where the host cannot be read.
    """
    with Links() as links, Bridges() as bridges:
        found = links.named(bridge)
        if found is None or found.kind != BRIDGE or is_ours(found):
            names = [x.name for x in links.all() if x.kind == BRIDGE and not is_ours(x)]
            there = f"bridges here: {', '.join(sorted(names))}" if names else "there is none here"
            raise ValueError(f"{bridge} is not a bridge of the operator's; {there}")
        all_links = {link.index: link for link in links.all()}
        here = [link for link in all_links.values() if link.master == found.index]
        out = {link.index for link in here if leads_out(link, all_links) or link.name in trusted}
        members = {link.name: _member(link, leads_out=link.index in out) for link in here}
        _read_entries(bridges, {link.index: members[link.name] for link in here})
        own, ways = links.addresses(found.index), tuple(gateways(found.index))
    for name, plugged in (known or {}).items():
        if name in members:
            members[name].domain = plugged.domain
            # The MAC from a hypervisor counts for more than those of the frames it sent.
            members[name].macs[plugged.mac] += 1_000_000
    _listen([each for each in members.values() if not each.leads_out], seconds)
    _attribute(members.values(), [*neighbours(found.index), *leases])
    ordered = dict(sorted(members.items()))
    return Survey(bridge, found.mtu, tuple(own), ways, ordered)


def _member(link: Link, *, leads_out: bool) -> SurveyedMember:
    return SurveyedMember(
        link.name, link.kind or "hardware", link.mac, leads_out, port_of_mark(link)
    )


def _read_entries(bridges: Bridges, members: Mapping[int, SurveyedMember]) -> None:
    for entry in bridges.entries():
        if entry.learned and entry.member in members:
            members[entry.member].macs[entry.mac] += 1


def _listen(guests: list[SurveyedMember], seconds: float) -> None:
    """Record the sources of the frames that guests send."""
    with ExitStack() as open_:
        captures = {each.name: open_.enter_context(Capture(each.name)) for each in guests}
        by_name = {each.name: each for each in guests}
        for name, each in frames(captures, seconds):
            if not each.outgoing:
                _take(by_name[name], parse(each.frame))


def frames(captures: Mapping[str, Capture], seconds: float) -> Iterator[tuple[str, Captured]]:
    """Each frame that passes for some seconds, with the name of its device in `captures`."""
    waiting, names = poll(), {}
    for name, capture in captures.items():
        waiting.register(capture, 1)
        names[capture.fileno()] = name
    deadline = time.monotonic() + seconds
    while captures and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in waiting.poll(left * 1000):
            name = names[descriptor]
            for each in captures[name].frames():
                yield name, each


def _take(member: SurveyedMember, frame: Frame) -> None:
    source, body = frame.src, frame.body
    if source is None or source.is_group or source.is_zero:
        return
    member.macs[source] += 1
    if isinstance(body, Arp):
        member.note_address(source, body.sender_ip)
    elif isinstance(body, IPv4 | IPv6):
        member.note_address(source, body.src)


def _attribute(members: Iterable[SurveyedMember], pairs: Iterable[tuple[IPAddress, Mac]]) -> None:
    """Give each address of the host's tables to the member that its MAC is behind."""
    behind = {mac: member for member in members for mac in member.macs}
    for address, mac in pairs:
        if mac in behind:
            behind[mac].note_address(mac, address)
