"""Forwarding and neighbour tables that bridges and stacks learned, against the true ones."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from vifguard.lab.play.kernel_tables import Forwarding, Tables, ifindex
from vifguard.lab.play.topology import Endpoint, LabSegment, Topology
from vifguard.model.address import IPAddress, Mac


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """The forwarding entries of a segment's bridge, and the neighbours of each place."""

    forwarding: frozenset[Forwarding]
    neighbours: dict[str, dict[IPAddress, Mac]]


class LearnedTables:
    """Reads, compares and restores the tables of a topology."""

    def __init__(self, topology: Topology) -> None:
        self._cleanup = ExitStack()
        host = topology.host_netns
        places = [place for segment in topology.segments for place in segment.everyone]
        self._host = self._open(host)
        self._tables = {place.name: self._open(place.netns) for place in places}
        self._bridges = {
            segment.name: ifindex(host, segment.bridge) for segment in topology.segments
        }
        self._ends = {place.name: ifindex(host, place.tap) for place in places if place.tap}
        self._devices = {place.name: ifindex(place.netns, place.device) for place in places}

    def close(self) -> None:
        """Close the sockets."""
        self._cleanup.close()

    def read(self, segment: LabSegment) -> TableSnapshot:
        """The entries that are believed now."""
        names = [place.name for place in segment.listeners]
        return TableSnapshot(self._forwarding(segment), self._neighbours(names))

    def reread(
        self, segment: LabSegment, before: TableSnapshot, heard: Iterable[str]
    ) -> TableSnapshot:
        """The entries that are believed after these places received: no other stack learned."""
        known = [name for name in heard if name in before.neighbours]
        return TableSnapshot(self._forwarding(segment), before.neighbours | self._neighbours(known))

    def moved(self, segment: LabSegment, before: TableSnapshot, after: TableSnapshot) -> list[str]:
        """Forwarding entries that came since `before` and are not true."""
        true = self._true_forwarding(segment)
        return [
            f"{entry.mac} is now believed behind {self._name(entry.ifindex)}"
            for entry in sorted(after.forwarding - before.forwarding)
            if true.get(entry.mac) != entry.ifindex
        ]

    def displaced(self, segment: LabSegment, snapshot: TableSnapshot) -> list[str]:
        """Forwarding entries of those on the segment that are not true."""
        true = self._true_forwarding(segment)
        return [
            f"{entry.mac} is believed behind {self._name(entry.ifindex)}"
            for entry in sorted(snapshot.forwarding)
            if true.get(entry.mac, entry.ifindex) != entry.ifindex
        ]

    def poisoned(
        self, segment: LabSegment, before: TableSnapshot, after: TableSnapshot
    ) -> list[str]:
        """Neighbour entries that came since `before` and are not true."""
        true = true_neighbours(segment)
        return [
            f"{name} believes {address} at {mac}"
            for name, neighbours in after.neighbours.items()
            for address, mac in neighbours.items()
            if before.neighbours[name].get(address) != mac and true.get(address) != mac
        ]

    def restore(self, segment: LabSegment) -> TableSnapshot:
        """Correct the entries of every place for everyone's addresses, and return the tables."""
        true = true_neighbours(segment)
        snapshot = self.read(segment)
        for place in segment.listeners:
            believed = snapshot.neighbours[place.name]
            for address, mac in true.items():
                if believed.get(address) != mac and _cares(place, address):
                    self._tables[place.name].seed(self._devices[place.name], address, mac)
                    believed[address] = mac
        return snapshot

    def _forwarding(self, segment: LabSegment) -> frozenset[Forwarding]:
        return self._host.forwarding(self._bridges[segment.name])

    def _neighbours(self, names: Iterable[str]) -> dict[str, dict[IPAddress, Mac]]:
        return {name: self._tables[name].neighbours() for name in names}

    def _true_forwarding(self, segment: LabSegment) -> dict[Mac, int]:
        true = {place.station.mac: self._ends[place.name] for place in segment.guests if place.tap}
        if segment.outside:
            true[segment.outside.station.mac] = self._ends[segment.outside.name]
        for actor in segment.actors.values():
            if actor.station.mac == segment.cast.a.mac:
                true[segment.cast.vmac4] = true[segment.cast.vmac6] = self._ends[actor.name]
        return true

    def _name(self, index: int) -> str:
        return next((name for name, end in self._ends.items() if end == index), f"#{index}")

    def _open(self, netns: str) -> Tables:
        tables = Tables(netns)
        self._cleanup.callback(tables.close)
        return tables


def true_neighbours(segment: LabSegment) -> dict[IPAddress, Mac]:
    """The true MAC of each address of everyone, and of the attacker's IP group."""
    cast = segment.cast
    true: dict[IPAddress, Mac] = {}
    for place in segment.everyone:
        for address in _addresses(place):
            true[address] = place.station.mac
    return true | {cast.vip4: cast.a.mac, cast.vip6: cast.a.mac}


def _cares(place: Endpoint, address: IPAddress) -> bool:
    """Whether a place's stack has any use for the MAC of the address."""
    return address not in _addresses(place) and (place.has_ipv6 or address.version == 4)


def _addresses(place: Endpoint) -> tuple[IPAddress, ...]:
    station = place.station
    return (station.ip4, station.ip6, station.ll)
