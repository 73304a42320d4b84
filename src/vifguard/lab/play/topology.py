"""The topology that a referee judges on: segments of a host, and the endpoints on each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vifguard.lab.attacks.actors import Actors, Station
from vifguard.lab.attacks.attack import Actor, Kind, Path, Prelude


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A device at which somebody sends and receives.

    `tap` is the host's end of it. `port_id` is empty where no port guards it. With
    `receives_nothing` nothing at all may arrive; with `has_ipv6` its stack speaks IPv6.
    """

    name: str
    station: Station
    netns: str
    device: str
    tap: str = ""
    port_id: str = ""
    receives_nothing: bool = False
    has_ipv6: bool = True


@dataclass(frozen=True, slots=True)
class LabSegment:
    """One network of the host, and everyone on it.

    `outside` is beyond the uplink, None where there is none. With `floods` a guest may
    receive unicast that is not its own.
    """

    name: str
    kind: Kind
    bridge: str
    cast: Actors
    actors: Mapping[Actor, Endpoint]
    guests: tuple[Endpoint, ...]
    outside: Endpoint | None = None
    floods: bool = False

    @property
    def everyone(self) -> tuple[Endpoint, ...]:
        """All places that receive on the segment."""
        return (*self.guests, *((self.outside,) if self.outside else ()))

    @property
    def listeners(self) -> tuple[Endpoint, ...]:
        """All places that must receive frames to everyone."""
        return tuple(place for place in self.everyone if not place.receives_nothing)


@dataclass(frozen=True, slots=True)
class Topology:
    """A host's namespace, its segments, and the host itself as a peer on each of them.

    `preludes` are the events elsewhere on the host that a row may need before it is played.
    """

    host_netns: str
    segments: tuple[LabSegment, ...]
    hosts: Mapping[str, Station]
    preludes: Mapping[Prelude, Callable[[LabSegment], None]] = field(default_factory=dict)

    def cast(self, segment: LabSegment, actor: Actor, path: Path) -> Actors:
        """The cast when `actor` plays along `path`."""
        place = segment.actors.get(actor)
        playing = segment.cast.with_attacker(place.station) if place else segment.cast
        peers = {
            Path.GUEST: segment.cast.p,
            Path.UPLINK: segment.cast.g,
            Path.HOST: self.hosts[segment.name],
        }
        return playing.with_peer(peers[path])
