"""The harness of an audit: sends one frame at a site and gathers all its effects.

Nothing is concluded from silence alone. Behind each frame goes an ordinary datagram from the
player's own MAC and address to every listener's own: when all have received it, all effects of
the frame are there. Where a datagram is lost, every guest sends once, so that a host that learned
something wrong can learn better; if it is lost even then, the bench is dead and judges the host
no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vifguard.lab.attacks.attack import Offload
from vifguard.lab.audit import proxying
from vifguard.lab.audit.site import Site, SiteError, VantagePoint
from vifguard.lab.audit.transport import Transport
from vifguard.lab.play.packet_socket import CannotSendError
from vifguard.lab.world.netns import LabError
from vifguard.packet import build

PATIENCE = 2.0
"""Seconds after which a legal datagram is lost."""

SOON = 0.5
"""Seconds within which a host that answers by itself does so."""

_OUR_PORT, _DISCARD = 4242, 9
"""No frame of the catalogue comes from our port: no datagram is taken for the frame before it."""
_TRIES = 3


class DeadError(LabError):
    """Legal datagrams no longer get through: the bench can judge nothing."""


@dataclass(frozen=True, slots=True)
class AuditObservation:
    """The effects of one frame.

    `unsent` is the reason why its device refused it. `heard` has a post's name once for each
    time it received the frame; `moved` and `poisoned` name the table entries that are wrong since.
    `served` is how the host itself did the work of a legal frame, without handing it on.
    """

    unsent: str = ""
    heard: tuple[str, ...] = ()
    served: str = ""
    moved: tuple[str, ...] = ()
    poisoned: tuple[str, ...] = ()


Untruths = Callable[[], frozenset[str]]
"""The wrong beliefs of the guests' stacks about one another."""


class Harness:
    """Plays frames at a site, over its wire."""

    def __init__(
        self,
        site: Site,
        wire: Transport,
        untruths: Untruths = frozenset,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._posts, self._wire, self._untruths = site.posts, wire, untruths
        self._patience = patience
        self._marks = 0
        self._believed = untruths()
        self._frame, self._completed, self._is_cut = b"", b"", False
        self._heard: list[tuple[str, bytes]] = []
        self._played: dict[bytes, bytes] = {}
        self._late: list[tuple[bytes, bytes]] = []
        self._unserved: set[tuple[object, ...]] = set()

    def prove(self) -> None:
        """Check that everyone's legal datagrams reach everyone; DeadError where they do not."""
        for post in self._posts:
            others = [each for each in self._posts if each is not post]
            if lost := self._mark(post, others):
                raise DeadError(_lost(post, lost))

    def play(
        self,
        player: VantagePoint,
        frame: bytes,
        offload: Offload | None = None,
        *,
        legal: bool = False,
    ) -> AuditObservation:
        """Play one frame and return its effects; of a `legal` one also how it was served."""
        self._frame, self._heard = frame, []
        self._completed = offload.completed(frame) if offload else frame
        self._is_cut = offload is not None and offload.gso > 0
        others = [post for post in self._posts if post is not player]
        try:
            self._wire.send(player, frame, offload)
        except CannotSendError as error:
            return AuditObservation(unsent=str(error))
        owner = next((post for post in others if frame[6:12] == post.mac.octets), None)
        moved = [] if owner is None else self._asked_for(owner, player, others)
        if lost := self._mark(player, others):
            moved += self._restored(player, lost)
        before, self._believed = self._believed, self._untruths()
        self._played |= {bare(frame): frame, bare(self._completed): frame}
        heard = [name for name, came in self._heard if self._is_of(came, frame)]
        if frame in self._wire.spoken:  # the player's own stack sent the same
            heard = list(dict.fromkeys(heard))
        return AuditObservation(
            heard=tuple(heard),
            served=self._served(player, frame) if legal and not heard else "",
            moved=tuple(dict.fromkeys(moved)),
            poisoned=tuple(sorted(self._believed - before)),
        )

    @property
    def late(self) -> set[bytes]:
        """Frames that a post received only when others were played already."""
        return {frame for came, frame in self._late if self._is_of(came, frame)}

    def _is_of(self, came: bytes, frame: bytes) -> bool:
        # A guest's own stack may send the packet that a forged tag was put around. Segments of a
        # frame are the frame's, though its device sends them.
        return came == frame or self._is_cut or came not in self._wire.spoken

    def _served(self, player: VantagePoint, frame: bytes) -> str:
        """The way in which the host served a legal frame that no post received; empty for none."""
        address = proxying.asked_for(frame)
        asked = proxying.owner(address, self._posts) if address else None
        is_part = proxying.is_fragment(frame)
        # A host that did not serve one will not serve the next: waited for once.
        need = (player.name, address, frame[12:14], is_part)
        if need in self._unserved:
            return ""
        if address and asked and asked is not player:
            # The answer may have come while the frame's effects were awaited: ask again.
            self._wire.send(player, frame)
            if self._overheard(player, lambda came: proxying.is_answered(came, address, asked.mac)):
                return "the host itself answered"
        elif is_part:
            to = next((post for post in self._posts if frame[:6] == post.mac.octets), None)
            for part in proxying.fragments_of_test_datagram(frame):
                self._wire.send(player, part)
            if to is not None and self._overheard(to, proxying.is_whole):
                return "its datagram is delivered as a whole"
        self._unserved.add(need)
        return ""

    def _overheard(self, post: VantagePoint, enough: Callable[[list[bytes]], bool]) -> bool:
        """Receive at one post until `enough` holds; whether it did."""
        came: list[bytes] = []
        deadline = time.monotonic() + min(SOON, self._patience)
        while True:
            heard = self._wire.receive(deadline - time.monotonic())
            came += [frame for name, frame in heard if name == post.name]
            self._note(heard)
            if enough(came):
                return True
            if time.monotonic() >= deadline:
                return False

    def _asked_for(
        self, owner: VantagePoint, player: VantagePoint, others: Sequence[VantagePoint]
    ) -> list[str]:
        """The wrong destinations of a datagram to a forged MAC's owner; then the owner sends."""
        third = next((post for post in others if post is not owner), None)
        if third is None:
            return []  # the player's own datagram to the owner shows it
        # When the player's datagram has come, the host has handled the frame.
        if lost := self._mark(player, [post for post in others if post is not owner]):
            return self._restored(player, lost)
        probe = self._datagram(third, owner)
        self._wire.send(third, probe)
        found = self._await({(owner.name, probe), (player.name, probe)}, enough=1)
        moved = []
        if (player.name, probe) in found:
            moved.append(f"frames to the {owner.name}'s MAC go to the {player.name}")
        elif not found:
            moved.append(f"frames to the {owner.name}'s MAC get lost")
        self._mark(owner, [post for post in self._posts if post is not owner])
        return moved

    def _restored(self, player: VantagePoint, lost: Sequence[VantagePoint]) -> list[str]:
        """Make every post send, and check that datagrams get through again."""
        still = list(lost)
        for _ in range(_TRIES):
            for post in self._posts:
                self._mark(post, [each for each in self._posts if each is not post], wait=False)
            still = self._mark(player, still)
            if not still:
                return [f"frames to the {each.name}'s MAC got lost until it spoke" for each in lost]
        raise DeadError(_lost(player, still))

    def _mark(
        self, sender: VantagePoint, to: Iterable[VantagePoint], *, wait: bool = True
    ) -> list[VantagePoint]:
        """Send each a datagram, and return the posts that did not receive it."""
        marks = {(post.name, self._datagram(sender, post)): post for post in to}
        for _name, legal in marks:
            self._wire.send(sender, legal)
        if not wait:
            return []
        found = self._await(set(marks), enough=len(marks))
        return [post for mark, post in marks.items() if mark not in found]

    def _await(self, marks: set[tuple[str, bytes]], *, enough: int) -> set[tuple[str, bytes]]:
        """Receive until so many of the marks came in, and return them."""
        found: set[tuple[str, bytes]] = set()
        deadline = time.monotonic() + self._patience
        while len(found) < enough:
            heard = self._wire.receive(deadline - time.monotonic())
            found |= marks.intersection(heard)
            self._note(heard)
            if time.monotonic() >= deadline:
                break
        self._note(self._wire.receive(0))
        return found

    def _note(self, heard: Iterable[tuple[str, bytes]]) -> None:
        for name, frame in heard:
            if self._is_it(frame):
                self._heard.append((name, frame))
            elif (earlier := self._played.get(bare(frame))) is not None:
                self._late.append((frame, earlier))

    def _is_it(self, heard: bytes) -> bool:
        if heard == self._frame:
            return True
        if self._is_cut:
            return _flow(heard) == _flow(self._frame)
        return bare(heard) in {bare(self._frame), bare(self._completed)}

    def _datagram(self, sender: VantagePoint, to: VantagePoint) -> bytes:
        self._marks += 1
        return datagram(sender, to, self._marks)


def datagram(sender: VantagePoint, to: VantagePoint, number: int) -> bytes:
    """A legal datagram to the discard port, of the first family that both have an address of."""
    said = build.udp(_OUR_PORT, _DISCARD, b"vifguard audit %08x" % number)
    if sender.ip4 and to.ip4:
        return build.ethernet(sender.mac, to.mac, build.ipv4(sender.ip4, to.ip4, said))
    if sender.ip6 and to.ip6:
        return build.ethernet(sender.mac, to.mac, build.ipv6(sender.ip6, to.ip6, said))
    raise SiteError(f"{sender.name} and {to.name} have no addresses of one family")


def bare(frame: bytes) -> bytes:
    """The frame as a receiver takes it: without priority or VLAN tags, and without padding.

    A host that takes tags off, fills the frame up, or cuts octets behind the packet's own end
    (as Linux does where it calls iptables for a bridge) has delivered it all the same.
    """
    addresses, rest = frame[:12], frame[12:]
    while rest[:2] in (b"\x81\x00", b"\x88\xa8"):
        rest = rest[4:]
    return addresses + rest[: _end(rest)].rstrip(b"\0")


def _end(packet: bytes) -> int | None:
    """The end of the packet behind an Ethernet type, by its length field; None if it has none."""
    kind = packet[:2]
    if kind == b"\x08\x00" and len(packet) >= 6:
        return 2 + int.from_bytes(packet[4:6], "big")
    if kind == b"\x86\xdd" and len(packet) >= 8:
        return 2 + 40 + int.from_bytes(packet[6:8], "big")
    return None


def _flow(frame: bytes) -> bytes:
    """The headers that every segment of a super-packet keeps: addresses, protocol and ports."""
    if frame[12:14] == b"\x08\x00":
        return frame[:14] + frame[23:24] + frame[26:38]
    return frame[:14] + frame[20:21] + frame[22:58]


def _lost(sender: VantagePoint, lost: Iterable[VantagePoint]) -> str:
    names = ", ".join(post.name for post in lost)
    return f"legal datagrams of the {sender.name} do not reach the {names}"
