"""The parts of the catalogue: attacks, their variants and the expected outcome of each."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Any

from vifguard.lab.attacks.actors import Actors
from vifguard.model.guard import Guard, Profile
from vifguard.model.verdict import Direction
from vifguard.packet import offload as packet


@dataclass(frozen=True, slots=True)
class Offload:
    """The work that a virtio-net header leaves to the device: a checksum, and segmentation.

    The checksum covers from `start` to the end and is stored at `start` + `offset`; with
    `start` None no checksum is left. `gso` is VIRTIO_NET_HDR_GSO_* (1 TCPv4, 3 UDP that is cut
    into fragments, 4 TCPv6, 5 UDP that is cut into datagrams; 0: the frame stays whole), `size`
    the segment's payload in bytes, `headers` the length of all headers.
    """

    start: int | None
    offset: int = 0
    gso: int = 0
    size: int = 0
    headers: int = 0

    @property
    def header(self) -> bytes:
        """`struct virtio_net_hdr`, with NEEDS_CSUM where a checksum is left; host byte order."""
        lengths = (self.headers, self.size, self.start or 0, self.offset)
        return struct.pack("=BBHHHH", self.checksum is not None, self.gso, *lengths)

    @property
    def checksum(self) -> packet.PartialChecksum | None:
        """The checksum that is left."""
        return None if self.start is None else packet.PartialChecksum(self.start, self.offset)

    @property
    def left(self) -> packet.Offload:
        """The offload as a guard sees it."""
        return packet.Offload(self.checksum, self.size)

    def completed(self, frame: bytes) -> bytes:
        """The frame with its checksum completed, as a receiver without offloads gets it."""
        return packet.completed(frame, self.checksum) if self.checksum else frame


class Kind(StrEnum):
    """The networks that a row is judged on, by the guards of their ports."""

    STRICT = "S"
    MAC = "M"
    ROUTER = "R"
    ISOLATED = "I"

    @property
    def profile(self) -> Profile:
        """The profile of its ports."""
        return _PROFILES[self]


_PROFILES = {
    Kind.STRICT: Profile.STRICT,
    Kind.MAC: Profile.MAC,
    Kind.ROUTER: Profile.ROUTER,
    Kind.ISOLATED: Profile.OFF,
}


class Outcome(Enum):
    """The outcome of a frame."""

    DROP = "drop"
    PASS = "pass"
    CONTAINED = "contained"


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected outcome of a frame on one kind of network.

    DROP: no delivery and no side effect, and a drop record that names `guard` (None: the
    port was closed). PASS: delivered, once, to its addressee. CONTAINED: no guard
    objects; it stays on its own segment and never reaches the host.
    """

    outcome: Outcome
    guard: Guard | None = None

    def __str__(self) -> str:
        if self.outcome is not Outcome.DROP:
            return str(self.outcome.value)
        return f"drop {self.guard.value if self.guard else 'closed'}"


PASS = Expected(Outcome.PASS)
CONTAINED = Expected(Outcome.CONTAINED)
CLOSED = Expected(Outcome.DROP)


def drop(guard: Guard) -> Expected:
    """Dropped by this guard."""
    return Expected(Outcome.DROP, guard)


Expectations = Mapping[Kind, Expected]


def on(
    *, strict: Expected, mac: Expected, router: Expected, isolated: Expected = CONTAINED
) -> Expectations:
    """The expected outcomes of a frame on strict, mac, router and isolated (off) networks."""
    return MappingProxyType(
        {Kind.STRICT: strict, Kind.MAC: mac, Kind.ROUTER: router, Kind.ISOLATED: isolated}
    )


def everywhere(expected: Expected) -> Expectations:
    """The same on every kind."""
    return on(strict=expected, mac=expected, router=expected, isolated=expected)


class Actor(StrEnum):
    """The owner of the port that a frame is played from; in the frame's cast it is always `a`.

    TAP stands behind a tap, as a hypervisor: no guest's kernel completes its offloads.
    """

    GUEST = "attacker"
    ONLY_4 = "only-ipv4"
    ONLY_6 = "only-ipv6"
    ROLES = "role-port"
    CLOSED = "closed-port"
    IP_GUARD = "ip-guard-alone"
    TAP = "tap"
    OUTSIDE = "outside"


class Prelude(StrEnum):
    """An event elsewhere on the host before a row is played."""

    ANOTHER_PORT_UPDATED = "another port's guards are taken off and put back"


class Path(StrEnum):
    """The peer of a frame: the same frame is played along each path it makes sense on."""

    GUEST = "guest to guest"
    UPLINK = "guest to uplink"
    HOST = "guest to host"


class Effect(StrEnum):
    """The gain of an attack where nothing guards the port; the control world must show it."""

    DELIVERY = "delivered"
    FORWARDING = "the victim's MAC moves to the attacker's port"
    NEIGHBOUR = "somebody's cache maps the stolen address to the attacker"
    HOST = "a socket of the host hears it"
    NONE = "the bridge itself forwards it to nobody"
    UNSENT = "the device itself refuses it"


Frame = Callable[[Actors], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One frame and its expected outcome.

    `twin` is the id of a variant of section K, played by the same actor, that must pass;
    the referee plays it first, so that each frame is tried cold and after a legal one. A
    `warm` frame, where given, takes the twin's place there.
    """

    name: str
    frame: Frame
    expect: Expectations
    twin: str = ""
    actor: Actor = Actor.GUEST
    effect: Effect = Effect.DELIVERY
    warm: Frame | None = None
    offload: Callable[[Actors], Offload] | None = None
    paths: tuple[Path, ...] = tuple(Path)

    @property
    def direction(self) -> Direction:
        """The direction, seen from the guest whose guard judges the frame."""
        return Direction.TO_GUEST if self.actor is Actor.OUTSIDE else Direction.FROM_GUEST


@dataclass(frozen=True, slots=True)
class VariantsOf:
    """Makes the variants of a file, which expect the same where they do not say otherwise."""

    expect: Expectations
    twin: str = ""
    effect: Effect = Effect.DELIVERY

    def __call__(
        self,
        name: str,
        frame: Frame,
        twin: str | None = None,
        expect: Expectations | None = None,
        effect: Effect | None = None,
        actor: Actor = Actor.GUEST,
    ) -> Variant:
        """The variant; what is None is that of all."""
        return Variant(
            name=name,
            frame=frame,
            expect=self.expect if expect is None else expect,
            twin=self.twin if twin is None else twin,
            effect=self.effect if effect is None else effect,
            actor=actor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A call that the API must refuse and store nothing of."""

    name: str
    plural: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A row: an attack of groups A to J, one of our own (X), or a legitimate look-alike (K).

    `published` holds advisories only; empty is a protocol quirk. `waits_for` names
    the later feature that a row needs before it can be played; such a row is counted as waiting.
    `proved_by` names tests (`file::test`) of attacks that the lab does not play itself.
    """

    id: str
    title: str
    group: str = ""
    guard: Guard | None = None
    published: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = ()
    refused: tuple[Refused, ...] = ()
    prelude: Prelude | None = None
    waits_for: str = ""
    proved_by: tuple[str, ...] = ()
    note: str = ""

    def variant_id(self, variant: Variant) -> str:
        """`attack/variant`: unique in the catalogue."""
        return f"{self.id}/{variant.name}"
