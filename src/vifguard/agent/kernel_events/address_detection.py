"""Addresses that guests claim: allowed by the server, then proven by duplicate detection.

The guest's own detection was dropped with its claim, so the agent sends one in the port's name
once the server agrees. A new agent finds tentative addresses in the policies and goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address
from typing import Protocol

from vifguard.agent.placement import Placement
from vifguard.agent.reporting.report import Outbox
from vifguard.enforce.driver.events import Claimed, ClaimKind
from vifguard.feed.messages import AddressClaim, Detection, RefusedClaim
from vifguard.model.address import IPAddress, Mac
from vifguard.model.verdict import Direction
from vifguard.packet.build import ethernet, ipv6, multicast_mac, na, ns, solicited_node, tlla

log = logging.getLogger("vifguard")

QUIET = 0.5
"""Seconds of silence after a solicitation: then the address is unique. Guests wait for one."""

UNUSED = 5.0
"""Seconds after its last use that a learned address may make room for another."""

AGAIN = 5.0
"""Seconds after which a claim that the server did not answer, or refused, is sent anew."""

_ALL_NODES = IPv6Address("ff02::1")
_UNSPECIFIED = IPv6Address(0)
_DEFENDER = Mac(b"\x02\x00\x5e\x00\x53\x01")
"""The sender of the answer that an address is taken: a MAC that is nobody's (RFC 7042, 2.1.2)."""

Key = tuple[str, IPAddress]


class Claiming(Protocol):
    """The ports whose guests may claim addresses, by interface."""

    @property
    def claiming(self) -> Mapping[int, Placement]:
        """All of these ports."""

    @property
    def detecting(self) -> Mapping[int, Placement]:
        """The ports that have a tentative address."""


class Answering(Protocol):
    """The part of `PortEvents` that detection needs, by interface."""

    def uses(self, index: int) -> Mapping[IPAddress, int]:
        """The port's last use of each learned address; CLOCK_MONOTONIC in ns, 0: never."""

    def inject(
        self, index: int, direction: Direction, frame: bytes, *, reversed_hooks: bool
    ) -> None:
        """Send a frame to a guest, or as if that guest had sent it; raises OSError."""


class AddressDetector:
    """Sends claims to the server, and ends the detection of tentative addresses. One thread's."""

    def __init__(self, events: Answering, outbox: Outbox, ports: Claiming) -> None:
        self._events = events
        self._outbox = outbox
        self._ports = ports
        self._asked: dict[Key, float] = {}
        self._refused: dict[Key, tuple[float, bool]] = {}
        self._until: dict[Key, float] = {}
        self._concluded: dict[Key, float] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a guest may be waiting for the end of its detection."""
        return bool(self._asked or self._until)

    def take(self, index: int, claimed: Claimed) -> None:
        """Take in the event of a claim at an interface."""
        place = self._ports.claiming.get(index)
        if place is None or place.port.policy.port_id != claimed.port_id:
            return
        if claimed.kind is ClaimKind.DEFENDED:
            self._conclude((claimed.port_id, claimed.address), unique=False)
        elif claimed.kind is ClaimKind.WANTS:
            self._request(index, place, claimed)

    def step(self, now: float) -> None:
        """Do what is due at `now` (CLOCK_MONOTONIC, s), once earlier kernel events are taken in."""
        for known in (self._asked, self._concluded):
            for key in [key for key, until in known.items() if until <= now]:
                del known[key]
        for refused in self._outbox.refused():
            self._take_refusal(refused, now)
        for key in [key for key, (until, _) in self._refused.items() if until <= now]:
            del self._refused[key]
        tentative = dict(self._tentative())
        # A port that is closed meanwhile solicits anew once it is open: the first may be lost.
        for key in self._until.keys() - tentative.keys():
            del self._until[key]
        for key, (ifindex, place) in tentative.items():
            self._detect(key, ifindex, place, now)

    def _request(self, index: int, place: Placement, claimed: Claimed) -> None:
        policy, address = place.port.policy, claimed.address
        key = policy.port_id, address
        if policy.owns(address) or address in policy.tentative or not policy.may_claim(address):
            return  # of a policy before, or decided meanwhile
        if key in self._refused:
            if self._refused[key][1]:
                self._defend(index, place, address)
        elif key not in self._asked:
            self._asked[key] = time.monotonic() + AGAIN
            unused = tuple(self._unused(index))
            self._outbox.put_address_claim(
                AddressClaim(policy.port_id, address, claimed.mac, unused)
            )

    def _unused(self, ifindex: int) -> list[IPAddress]:
        """The learned addresses that may make room, longest unused first."""
        used = self._events.uses(ifindex)
        before = time.monotonic_ns() - int(UNUSED * 1_000_000_000)
        return sorted((each for each, at in used.items() if at <= before), key=lambda e: used[e])

    def _take_refusal(self, refused: RefusedClaim, now: float) -> None:
        key = refused.port_id, refused.address
        self._asked.pop(key, None)
        self._refused[key] = now + AGAIN, refused.taken
        if refused.taken:
            for ifindex, place in self._ports.claiming.items():
                if place.port.policy.port_id == refused.port_id:
                    self._defend(ifindex, place, refused.address)

    def _tentative(self) -> Iterator[tuple[Key, tuple[int, Placement]]]:
        for ifindex, place in self._ports.detecting.items():
            for address in place.port.policy.tentative if not place.closed else ():
                yield (place.port.policy.port_id, address), (ifindex, place)

    def _detect(self, key: Key, ifindex: int, place: Placement, now: float) -> None:
        self._asked.pop(key, None)
        if key in self._concluded:
            return
        if key not in self._until:
            if self._send(ifindex, place, Direction.FROM_GUEST, _solicitation(place, key[1])):
                self._until[key] = now + QUIET
        elif now >= self._until[key]:
            self._conclude(key, unique=True)

    def _conclude(self, key: Key, *, unique: bool) -> None:
        if key not in self._concluded:
            self._until.pop(key, None)
            self._concluded[key] = time.monotonic() + AGAIN
            self._outbox.put_detection(Detection(*key, unique))

    def _defend(self, ifindex: int, place: Placement, address: IPAddress) -> None:
        """Answer the guest's detection as the holder would, so that it finds a duplicate."""
        self._send(ifindex, place, Direction.TO_GUEST, _advertisement(address))

    def _send(self, ifindex: int, place: Placement, way: Direction, frame: bytes) -> bool:
        try:
            self._events.inject(ifindex, way, frame, reversed_hooks=place.reversed_hooks)
        except OSError as error:
            log.debug("port %s: %s", place.port.policy.port_id, error)
            return False
        return True


def _solicitation(place: Placement, address: IPAddress) -> bytes:
    """Duplicate address detection for an address (RFC 4862, 5.4.2)."""
    group = solicited_node(address)
    packet = ipv6(_UNSPECIFIED, group, ns(address), hop_limit=255)
    return ethernet(place.port.mac, multicast_mac(group), packet)


def _advertisement(address: IPAddress) -> bytes:
    """The answer of an address's holder to another's detection (RFC 4861, 7.2.4)."""
    packet = ipv6(address, _ALL_NODES, na(address, tlla(_DEFENDER)), hop_limit=255)
    return ethernet(_DEFENDER, multicast_mac(_ALL_NODES), packet)
