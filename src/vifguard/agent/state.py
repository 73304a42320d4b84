"""The agent's state: the ports of its host and the links that are there.

A fold over events that is independent of their order: the same facts in another order, twice
or in pieces, give the same state. Nothing here touches the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from vifguard.agent.ruleset import RulesetTracker
from vifguard.bridging.bridge import bridge_name, is_ours
from vifguard.feed.messages import HostPort, Update
from vifguard.feed.segment import Segment
from vifguard.kernel.net.link import Link, LinkRemoved
from vifguard.model.address import Mac

_TAP_OCTET = 0xFE

K = TypeVar("K")
V = TypeVar("V")
Index = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class AllLinks:
    """Every link of the host, read at once."""

    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Isolation:
    """Whether the host can keep networks apart: `unsupported` says why not, empty where it can."""

    unsupported: str


Event = Update | Link | LinkRemoved | AllLinks | Isolation


@dataclass(frozen=True, slots=True)
class Dirty:
    """Ports and links to reconcile after an event; `everything` means all of them.

    `ruleset` means that rules or address sets changed.
    """

    ports: frozenset[str] = frozenset()
    links: frozenset[int] = frozenset()
    everything: bool = False
    ruleset: bool = False

    @classmethod
    def by_all(cls, several: Sequence[Dirty]) -> Dirty:
        """The union of several."""
        return cls(
            frozenset().union(*(each.ports for each in several)),
            frozenset().union(*(each.links for each in several)),
            any(each.everything for each in several),
            any(each.ruleset for each in several),
        )

    def __bool__(self) -> bool:
        return bool(self.ports or self.links or self.everything or self.ruleset)


NOTHING = Dirty()
_EVERYTHING = Dirty(everything=True)


@dataclass(slots=True)
class _Network:
    """A network and its ports here; `revision` is that of its segment."""

    segment: Segment
    revision: int = 0
    ports: set[str] = field(default_factory=set)


class AgentState:
    """The ports by id, the links by index, and the claims of ports to links.

    `complete` is false until one complete update is taken in: until then nothing may be removed
    from the kernel. `physical` names the uplink of each physical network, and `hands_off` those
    whose interfaces somebody else wires. `no_isolation` is the reason why the host cannot keep
    networks apart; empty where it can.
    """

    def __init__(
        self,
        physical: Mapping[str, str],
        no_isolation: str = "",
        hands_off: frozenset[str] = frozenset(),
    ) -> None:
        self.revision = 0
        self.complete = False
        self.physical = dict(physical)
        self.hands_off = hands_off
        self.no_isolation = no_isolation
        self.ports: dict[str, HostPort] = {}
        self.links: dict[int, Link] = {}
        self.ended: Mapping[int, str] = {}
        """The deleted port of each interface that had one and has no other since."""
        self.left: set[int] = set()
        """The links that were removed, or left their bridge, since `take_left`."""
        self.bridges: set[int] = set()
        self.ruleset = RulesetTracker()
        self._grouped: dict[str, set[str]] = {}
        self._networks: dict[str, _Network] = {}
        self._bridge_names: Index = {}
        self._uplinks: Index = {}
        self._link_names: dict[str, int] = {}
        self._link_macs: dict[bytes, tuple[int, ...]] = {}
        self._claims: Index = {}
        self._port_macs: dict[bytes, tuple[str, ...]] = {}

    def take(self, event: Event) -> Dirty:
        """Take in an event; return the ports and links to reconcile."""
        if isinstance(event, Update):
            return self._update(event)
        if isinstance(event, Link):
            return self._link(event.index, event)
        if isinstance(event, LinkRemoved):
            return self._link(event.index, None)
        if isinstance(event, Isolation):
            return self._isolation(event.unsupported)
        return self._all_links(event.links)

    def dirtied_by(self, index: int) -> Dirty:
        """A link and its ports, to reconcile after a change at it, such as to its filters."""
        return Dirty(self._ports_concerned(self.links.get(index)), frozenset({index}))

    def take_left(self) -> frozenset[int]:
        """The links that were removed or left a bridge since the last call; some may be back."""
        left = frozenset(self.left)
        self.left.clear()
        return left

    def named(self, name: str) -> Link | None:
        """The link of this name."""
        index = self._link_names.get(name)
        return None if index is None else self.links[index]

    def with_mac(self, mac: Mac) -> list[Link]:
        """The links that have a port's MAC, or the one that libvirt makes of it for a tap."""
        links = (self.links[i] for i in self._link_macs.get(_tail(mac), ()))
        return [link for link in links if link.mac and is_of_guest(link.mac, mac)]

    def claimants(self, name: str) -> tuple[str, ...]:
        """The ports whose interface would have this name."""
        return self._claims.get(name, ())

    def ports_with_mac(self, mac: Mac) -> tuple[str, ...]:
        """The ports with this MAC; on isolated networks there may be several."""
        return tuple(i for i in self._same_tail(mac) if self.ports[i].mac == mac)

    def networks_of_bridge(self, name: str) -> tuple[str, ...]:
        """The networks here whose bridge has this name: one, if ids are random enough."""
        return self._bridge_names.get(name, ())

    def networks_of_uplink(self, device: str) -> tuple[str, ...]:
        """The networks here whose physical network has this device as its uplink."""
        return self._uplinks.get(device, ())

    def segment(self, network_id: str) -> Segment:
        """A network that has ports here; KeyError for another."""
        return self._networks[network_id].segment

    @property
    def segments(self) -> Iterable[Segment]:
        """The networks that have ports here."""
        return (presence.segment for presence in self._networks.values())

    def _isolation(self, unsupported: str) -> Dirty:
        if unsupported == self.no_isolation:
            return NOTHING
        self.no_isolation = unsupported
        isolated = (i for i, port in self.ports.items() if not port.segment.shared)
        return Dirty(frozenset(isolated))

    def _update(self, update: Update) -> Dirty:
        if update.complete:
            self._replace_ports(update)
            return _EVERYTHING
        if not self.complete or update.revision < self.revision:
            return NOTHING  # a change to a state we do not have: the feed will send all
        dirty: set[str] = set()
        self.ruleset.take(update)
        for port in update.ports:
            dirty |= self._put_port(port.policy.port_id, port)
        for port_id in update.gone:
            dirty |= self._put_port(port_id, None)
        self.revision = update.revision
        if update.ports or update.gone or update.groups:
            self.ruleset.keep(self._grouped)
        return Dirty(frozenset(dirty), ruleset=bool(update.groups or update.sets))

    def _replace_ports(self, update: Update) -> None:
        self.revision, self.complete = update.revision, True
        self.ruleset.take(update)
        self.ports.clear()
        self._grouped.clear()
        self._networks.clear()
        for index in (self._claims, self._port_macs, self._bridge_names, self._uplinks):
            index.clear()
        for port in update.ports:
            self._put_port(port.policy.port_id, port)
        self.ruleset.keep(self._grouped)

    def _put_port(self, port_id: str, port: HostPort | None) -> set[str]:
        """Replace one port; return it and those that may want the same interface or uplink."""
        old = self.ports.get(port_id)
        dirty = {port_id}
        if old is not None:
            dirty |= self._rivals(old) | self._index_port(old, present=False)
            del self.ports[port_id]
        if port is not None:
            self.ports[port_id] = port
            dirty |= self._index_port(port, present=True) | self._rivals(port)
        return dirty

    def _index_port(self, port: HostPort, *, present: bool) -> set[str]:
        """Put a port into the indexes; return the ports of networks that this may concern."""
        port_id, network_id = port.policy.port_id, port.segment.network_id
        change = _added if present else _removed
        change(self._claims, claimed_name(port), port_id)
        change(self._port_macs, _tail(port.mac), port_id)
        self._join_groups(port, port_id, present=present)
        before = self._ports_sharing_network(network_id)
        known_segment = self._networks[network_id].segment if network_id in self._networks else None
        self._join(port, port_id, present=present)
        segment = self._networks[network_id].segment if network_id in self._networks else None
        return (
            set()
            if known_segment == segment
            else self._ports_of(before | self._ports_sharing_network(network_id))
        )

    def _join_groups(self, port: HostPort, port_id: str, *, present: bool) -> None:
        for group in port.policy.security_groups:
            ports = self._grouped.setdefault(group, set())
            if present:
                ports.add(port_id)
                continue
            ports.discard(port_id)
            if not ports:
                del self._grouped[group]

    def with_groups(self, groups: Iterable[str]) -> frozenset[str]:
        """The ports that have one of these security groups."""
        return frozenset().union(*(self._grouped.get(group, ()) for group in groups))

    @property
    def grouped(self) -> frozenset[str]:
        """The ports that have a security group."""
        return self.with_groups(self._grouped)

    def _ports_sharing_network(self, network_id: str) -> set[str]:
        """The networks, this included, that want a network's bridge or uplink."""
        presence = self._networks.get(network_id)
        if presence is None:
            return set()
        device = self.physical.get(presence.segment.physical, "")
        name = bridge_name(network_id)
        return {*self.networks_of_bridge(name), *self.networks_of_uplink(device)}

    def _ports_of(self, networks: Iterable[str]) -> set[str]:
        here = (self._networks[each].ports for each in networks if each in self._networks)
        return set().union(*here)

    def _join(self, port: HostPort, port_id: str, *, present: bool) -> None:
        """Add a port to a network or remove it; the newest port's segment is the valid one."""
        segment = port.segment
        presence = self._networks.get(segment.network_id)
        if presence is not None:
            self._index_network(presence.segment, _removed)
        else:
            presence = self._networks[segment.network_id] = _Network(segment)
        if present:
            presence.ports.add(port_id)
            if _is_newer(segment, port.revision, presence):
                presence.segment, presence.revision = segment, port.revision
        else:
            presence.ports.discard(port_id)
        if presence.ports:
            self._index_network(presence.segment, _added)
        else:
            del self._networks[segment.network_id]

    def _index_network(self, segment: Segment, change: Callable[[Index, str, str], None]) -> None:
        change(self._bridge_names, bridge_name(segment.network_id), segment.network_id)
        if segment.physical in self.physical:
            change(self._uplinks, self.physical[segment.physical], segment.network_id)

    def _rivals(self, port: HostPort) -> set[str]:
        """The ports that claim the same interface, or would without this port."""
        name = claimed_name(port)
        link = self.named(name)
        by_mac = (
            *self._same_tail(port.mac),
            *(self._same_tail(link.mac) if link and link.mac else ()),
        )
        return {*self.claimants(name), *by_mac}

    def _same_tail(self, mac: Mac) -> tuple[str, ...]:
        return self._port_macs.get(_tail(mac), ())

    def _all_links(self, links: Iterable[Link]) -> Dirty:
        before, self.links = self.links, {link.index: link for link in links}
        self.left.update(i for i, old in before.items() if _is_removed(old, self.links.get(i)))
        self.bridges = {link.index for link in self.links.values() if is_ours(link)}
        self._link_names = {link.name: link.index for link in self.links.values()}
        self._link_macs = {}
        for link in self.links.values():
            if link.mac:
                _added(self._link_macs, _tail(link.mac), link.index)
        return _EVERYTHING

    def _link(self, index: int, link: Link | None) -> Dirty:
        old = self.links.get(index)
        if old == link:
            return NOTHING
        if old is not None and _is_removed(old, link):
            self.left.add(index)
        before = self._ports_concerned(old)
        self._index_link(index, old, link)
        return Dirty(before | self._ports_concerned(link), frozenset({index}))

    def _index_link(self, index: int, old: Link | None, link: Link | None) -> None:
        if old is not None:
            del self.links[index]
            self.bridges.discard(index)
            if self._link_names.get(old.name) == index:
                del self._link_names[old.name]
            if old.mac:
                _removed(self._link_macs, _tail(old.mac), index)
        if link is not None:
            self.links[index] = link
            self._link_names[link.name] = index
            if is_ours(link):
                self.bridges.add(index)
            if link.mac:
                _added(self._link_macs, link.mac.octets[1:], index)

    def _ports_concerned(self, link: Link | None) -> frozenset[str]:
        """The ports whose place may depend on a link."""
        if link is None:
            return frozenset()
        ports = set(self.claimants(link.name))
        for port_id in self.claimants(link.name):
            # A port that has found its interface by name leaves another to those with its MAC.
            ports.update(self._same_tail(self.ports[port_id].mac))
        if link.mac:
            ports.update(self._same_tail(link.mac))
        networks = (*self.networks_of_bridge(link.name), *self.networks_of_uplink(link.name))
        return frozenset(ports | self._ports_of(networks))


def _is_newer(segment: Segment, revision: int, than: _Network) -> bool:
    """Whether a port's segment replaces a network's; of one revision, by any order but time's."""
    if revision != than.revision or segment == than.segment:
        return revision >= than.revision
    return repr(segment) > repr(than.segment)


def _is_removed(old: Link, link: Link | None) -> bool:
    return old.master != 0 and (link is None or link.master != old.master)


def claimed_name(port: HostPort) -> str:
    """The name of a port's interface: the given one, else the usual one."""
    return port.interface or f"tap{port.policy.port_id[:11]}"


def is_of_libvirt(link: Mac) -> bool:
    """Whether a tap's MAC may be one that libvirt made of its guest's."""
    return link.octets[0] == _TAP_OCTET


def is_of_guest(link: Mac, guest: Mac) -> bool:
    """Whether an interface's MAC is its guest's, or the one that libvirt makes of it for a tap."""
    return link.octets in (guest.octets, bytes((_TAP_OCTET,)) + _tail(guest))


def _tail(mac: Mac) -> bytes:
    """The octets that a port's MAC and the one that libvirt makes of it have in common."""
    return mac.octets[1:]


def _added(index: dict[K, tuple[V, ...]], key: K, value: V) -> None:
    index[key] = (*index.get(key, ()), value)


def _removed(index: dict[K, tuple[V, ...]], key: K, value: V) -> None:
    rest = tuple(each for each in index.get(key, ()) if each != value)
    if rest:
        index[key] = rest
    else:
        index.pop(key, None)
