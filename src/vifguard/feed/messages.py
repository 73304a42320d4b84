"""The messages: updates go down, reports come up. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Protocol

from vifguard.feed.bounds import AtMost, encoded_at_most
from vifguard.feed.segment import Segment
from vifguard.model.address import IPAddress, Mac
from vifguard.model.guard import Guard
from vifguard.model.policy import PortPolicy
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule, SetChange
from vifguard.model.verdict import Direction, Reason

PORTS_AT_ONCE: Final = 1000
CLAIMS_AT_ONCE: Final = 10_000
DROPS_AT_ONCE: Final = 2000
ADDRESS_CLAIMS_AT_ONCE: Final = 100
"""Items of one kind in a report; the rest goes into the next. Each address claim, and each result
of a detection, is decided by queries of its own while no other change is made."""

LONGEST_ABOUT: Final = 64 * 1024
LONGEST_WIRING: Final = 256 * 1024
"""The octets of a host's report about itself, and of its wiring, as JSON: a server keeps both."""

Name = Annotated[str, AtMost(64)]
HostName = Annotated[str, AtMost(255)]
Text = Annotated[str, AtMost(1024)]
Facts = Annotated[tuple[Text, ...], AtMost(64)]
Devices = Annotated[tuple[Name, ...], AtMost(1000)]


@dataclass(frozen=True, slots=True)
class HostPort:
    """One port that a host must enforce, at the revision that last changed it.

    `interface` is the device's name, or empty: then it is found by its usual name or `mac`.
    """

    policy: PortPolicy
    segment: Segment
    mac: Mac
    interface: str
    revision: int


@dataclass(frozen=True, slots=True)
class Update:
    """The state that a host must enforce from `revision` on.

    `complete`: `ports`, `groups` and `sets` are everything, and the host must remove all else.
    Otherwise `ports` changed and `gone` ended since the revision that the agent named; `groups`
    are the rules of those groups whose rules changed, and `sets` the sets that changed. Both
    are by id, and hold for every port of the host that refers to them, in this update or not.

    `store` is the identity of the database that this is from; empty where it is unknown.

    The host gets no more changes of a group that no port has, or of a set that no rule refers
    to. It must forget them, and gets them whole when something refers to them again.
    """

    revision: int
    complete: bool
    ports: tuple[HostPort, ...]
    gone: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[Rule]] = field(default_factory=dict)
    sets: Mapping[str, SetChange] = field(default_factory=dict)
    store: str = ""


@dataclass(frozen=True, slots=True)
class PortReport:
    """The state of a port as read back from the host's kernel, and the reason if not enforced.

    `driver` is the name of the driver that guards it; empty for none. `wiring` says what gives its
    interface its place.
    """

    port_id: Name
    revision: int
    state: PortState
    interface: Name = ""
    reason: Text = ""
    driver: Name = ""
    wiring: Name = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A guest's claim of an IP group's address: gratuitous ARP, ARP reply or unsolicited NA."""

    port_id: Name
    address: IPAddress
    mac: Mac
    at: float


@dataclass(frozen=True, slots=True)
class AddressClaim:
    """A guest's claim of an address that is not its port's yet, from one of the port's MACs.

    `unused` are learned addresses of the port that may make room for it, longest unused first.
    """

    port_id: Name
    address: IPAddress
    mac: Mac
    unused: Annotated[tuple[IPAddress, ...], AtMost(64)] = ()


@dataclass(frozen=True, slots=True)
class Detection:
    """The result of duplicate address detection for a tentative address."""

    port_id: Name
    address: IPAddress
    unique: bool


@dataclass(frozen=True, slots=True)
class RefusedClaim:
    """A claim that the server refused: `taken` where the address is another's."""

    port_id: Name
    address: IPAddress
    taken: bool


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """The server's answer to a report: refused claims; the accepted ones come as an update."""

    refused: tuple[RefusedClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class Sighting:
    """The time at which a port last sent from an address of an IP group."""

    port_id: Name
    address: IPAddress
    at: float


@dataclass(frozen=True, slots=True)
class DropRecord:
    """One dropped frame: the guard, the reason, and the frame's first bytes."""

    port_id: Name
    at: float
    direction: Direction
    guard: Guard | None
    reason: Reason
    length: int
    head: Annotated[bytes, AtMost(160)]


@dataclass(frozen=True, slots=True)
class DropCount:
    """The number of a port's frames that one guard has dropped since the port was plugged."""

    port_id: Name
    direction: Direction
    guard: Guard | None
    frames: int


@encoded_at_most(LONGEST_ABOUT)
@dataclass(frozen=True, slots=True)
class HostReport:
    """A host's kernel and features; `missing` names each needed one that it lacks, and why.

    `quarantine` says in words by what an interface is blocked until it has its guard.

    `refused_guards` names each guard that a driver of it cannot enforce, with driver and reason: a
    port that needs one there is closed.

    `degraded` names each part of its agent that cannot do its work now, with the reason; `lost`
    counts by cause the guards that the agent has found lost, and put back, since it started.
    """

    kernel: HostName
    driver: Name
    features: Annotated[frozenset[Name], AtMost(64)]
    missing: Facts
    quarantine: Facts
    isolation: bool
    degraded: Facts = ()
    lost: Annotated[Mapping[HostName, int], AtMost(64)] = field(default_factory=dict)
    refused_guards: Facts = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One run of an agent. `pins` is the id of the pins that it alone holds; empty for none.

    Two runs that hold the same pins cannot live at once: the later one is the one that lives.
    `ended`: this is its last report.
    """

    id: Name = ""
    pins: Name = ""
    ended: bool = False


NO_INSTANCE = Instance()


@dataclass(frozen=True, slots=True)
class AdoptedBridge:
    """A bridge of the operator's that a physical network is mapped to, as a host found it.

    `addresses` are the host's own there. `unguarded` are the members that are neither
    uplinks nor trusted, and have no guard that was read back, and `forwarding` those of them that
    forward all the same. `dropped`: frames that the filter of its members dropped, those of the
    host's other such bridges included; None where the kernel does not count them.
    """

    name: Name
    physical: Name
    addresses: Annotated[tuple[IPAddress, ...], AtMost(1000)] = ()
    unguarded: Devices = ()
    dropped: int | None = None
    forwarding: Devices = ()


@dataclass(frozen=True, slots=True)
class HeldDevice:
    """A device name at which the quarantine drops every frame, and the number dropped."""

    device: Name
    dropped: int


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """The table of a host's connections: its size, and about how full it is."""

    room: int
    used_percent: int


@encoded_at_most(LONGEST_WIRING)
@dataclass(frozen=True, slots=True)
class WiringReport:
    """The parts of a host that belong to no port: its wiring, and the connection table."""

    bridges: Annotated[tuple[AdoptedBridge, ...], AtMost(64)] = ()
    held: Annotated[tuple[HeldDevice, ...], AtMost(1000)] = ()
    connections: ConnectionTable | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A report of an agent to the server: facts about revisions, never wishes.

    `reached`: every update up to this revision was brought into the kernel, or `ports` has the
    reason why not; 0 means nothing. `read_back`: every guard was read back from the kernel a
    moment ago, and is as it was reported, or is reported here.
    """

    host: HostName
    about: HostReport | None = None
    ports: Annotated[tuple[PortReport, ...], AtMost(PORTS_AT_ONCE)] = ()
    claims: Annotated[tuple[Claim, ...], AtMost(CLAIMS_AT_ONCE)] = ()
    sightings: Annotated[tuple[Sighting, ...], AtMost(CLAIMS_AT_ONCE)] = ()
    drops: Annotated[tuple[DropRecord, ...], AtMost(DROPS_AT_ONCE)] = ()
    counts: Annotated[tuple[DropCount, ...], AtMost(CLAIMS_AT_ONCE)] = ()
    reached: int = 0
    read_back: bool = False
    instance: Instance = NO_INSTANCE
    wiring: WiringReport | None = None
    address_claims: Annotated[tuple[AddressClaim, ...], AtMost(ADDRESS_CLAIMS_AT_ONCE)] = ()
    detections: Annotated[tuple[Detection, ...], AtMost(ADDRESS_CLAIMS_AT_ONCE)] = ()


class Feed(Protocol):
    """The agent's only view of the server; in one process or over HTTP."""

    def next(self, instance: str, after: int, timeout: float) -> Update | None:
        """The update after revision `after`, or None when nothing changed for `timeout` s.

        `after` 0, or a revision the server no longer remembers, gives a complete one. `instance`
        is the run of the calling agent. Raises FeedError when the server cannot be reached.
        """

    def report(self, report: Report) -> ReportAnswer:
        """Deliver a report; raises FeedError when the server cannot be reached."""


class FeedError(Exception):
    """The server could not be reached or refused; the guards stay as they are."""


SECOND_AGENT = "SecondAgent"
"""The type of the error by which a server refuses a second agent over HTTP."""


class SecondAgentError(FeedError):
    """Another agent of this host lives; the message names it and the way out."""
