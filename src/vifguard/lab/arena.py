"""Where a referee judges: who stands where on which segment of a host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vifguard.lab.attacks.attack import Actor, Kind, Path, Prelude
from vifguard.lab.attacks.cast import Cast, Station


@dataclass(frozen=True, slots=True)
class Place:
    """A device at which somebody sends and hears.

    `tap` is the host's end of it. `port_id` is empty where no port guards it, `deaf` says
    that nothing at all may arrive, and `six` that its stack speaks IPv6.
    """

    name: str
    station: Station
    netns: str
    device: str
    tap: str = ""
    port_id: str = ""
    deaf: bool = False
    six: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """One network of the host, and everyone on it.

    `outside` is beyond the uplink, None where there is none. `floods` says that a guest may
    hear unicast that is not its own.
    """

    name: str
    kind: Kind
    bridge: str
    cast: Cast
    actors: Mapping[Actor, Place]
    guests: tuple[Place, ...]
    outside: Place | None = None
    floods: bool = False

    @property
    def everyone(self) -> tuple[Place, ...]:
        """All that hear the segment."""
        return (*self.guests, *((self.outside,) if self.outside else ()))

    @property
    def listeners(self) -> tuple[Place, ...]:
        """All that must hear what is sent to everyone."""
        return tuple(place for place in self.everyone if not place.deaf)


@dataclass(frozen=True, slots=True)
class Arena:
    """A host's namespace, its segments, and the host itself as a peer on each of them.

    `preludes` are what can happen elsewhere on the host before a row is played.
    """

    host_netns: str
    segments: tuple[Segment, ...]
    hosts: Mapping[str, Station]
    preludes: Mapping[Prelude, Callable[[Segment], None]] = field(default_factory=dict)

    def cast(self, segment: Segment, actor: Actor, path: Path) -> Cast:
        """The cast when `actor` plays along `path`."""
        place = segment.actors.get(actor)
        playing = segment.cast.playing(place.station) if place else segment.cast
        peers = {
            Path.GUEST: segment.cast.p,
            Path.UPLINK: segment.cast.g,
            Path.HOST: self.hosts[segment.name],
        }
        return playing.towards(peers[path])
