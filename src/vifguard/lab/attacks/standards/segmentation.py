"""Frames that a sender leaves to be cut: fragments whose parts would be other packets than judged.

UFO, after every filter, counts offsets from 0: of a later fragment it makes a first one, with
ports that nobody judged. Linux 6.18 cuts no IPv6 packet with a fragment header: it drops it where
it is sent on, behind the guard.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import Actor, Attack, Frame, Offload, Variant, drop, everywhere
from vifguard.lab.attacks.legal import offer
from vifguard.model.guard import Guard
from vifguard.packet import build

_LARGE = bytes(804)
_SEGMENT = build.tcp(4000, 9, _LARGE, flags=0x10, checksum=0)
_TCP = Offload(start=34, offset=16, gso=1, size=200, headers=54)
_WITHOUT_CHECKSUM = Offload(None, gso=1, size=200, headers=54)
_UFO = Offload(None, gso=3, size=200, headers=42)
_TCP6 = Offload(None, gso=4, size=200, headers=82)
_UFO6 = Offload(None, gso=3, size=200, headers=70)


def _cut(
    name: str, frame: Frame, left: Offload, twin: str = "L26/tcp4", actor: Actor = Actor.GUEST
) -> Variant:
    """A fragment that is left to be cut into parts of 200 octets."""
    return Variant(
        name=name,
        frame=frame,
        expect=everywhere(drop(Guard.HOST)),
        twin=twin,
        actor=actor,
        offload=lambda _c: left,
    )


def _disguised(
    name: str, datagram: Callable[[Actors], build.Layer], dst: IPv4Address | None = None
) -> Variant:
    """A last fragment, from octet 800 on, that begins like a datagram."""
    return _cut(
        name,
        lambda c: f.ip4(c, datagram(c), offset=100, dst=dst or c.p.ip4),
        _UFO,
        "L30/udp4",
        Actor.TAP,
    )


def _first(c: Actors) -> bytes:
    return f.ip4(c, _SEGMENT, more=True)


def _with_header(
    name: str, fragment: build.Layer, left: Offload = _TCP6, twin: str = "L26/tcp6"
) -> Variant:
    """An IPv6 packet with a fragment header."""
    return _cut(name, lambda c: f.ip6(c, fragment), left, twin, Actor.TAP)


ROWS: tuple[Attack, ...] = (
    Attack(
        id="x-offload-cut-fragment",
        title="A fragment that is left to be cut once more",
        group="X",
        guard=Guard.HOST,
        variants=(
            _cut("tcp4-first", _first, _TCP),
            _cut("tcp4-later", lambda c: f.ip4(c, _SEGMENT, offset=100), _TCP),
            _cut("tcp4-without-checksum", _first, _WITHOUT_CHECKSUM, actor=Actor.TAP),
            _disguised(
                "ufo-dhcp-answer", lambda c: build.udp(67, 68, offer(c, f.ACK)), f.BROADCAST_4
            ),
            _disguised("ufo-udp-port", lambda _c: build.udp(4000, 53, _LARGE)),
            _with_header("tcp6-first", build.fragment(_SEGMENT, more=True)),
            _with_header("tcp6-later", build.fragment(_SEGMENT, 100)),
            _with_header("tcp6-atomic", build.fragment(_SEGMENT)),
            _with_header(
                "ufo6-udp-port",
                build.fragment(build.udp(4000, 53, _LARGE), 100),
                _UFO6,
                "L30/udp6",
            ),
        ),
        proved_by=(
            "tests/enforce/test_cut_fragments.py::test_no_fragment_is_cut_behind_its_guard",
        ),
        note="What is played by `tap`, neither the lab nor an audit can send: it takes a "
        "process that has a tap open, as a hypervisor for a guest with a driver of its own. Behind "
        "a veth the guest's own kernel cuts for UFO, and the parts are judged as any fragments; "
        "a packet with an IPv6 fragment header it does not send. Linux 6.18 drops such a packet "
        "behind a tap too, where it leaves the bridge; on that nothing depends.",
    ),
)
