"""The words of group X: expectations by name, legal twins, and rows."""

from __future__ import annotations

from collections.abc import Callable

from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Effect,
    Expectations,
    Frame,
    Variant,
    drop,
    on,
)
from vifguard.model.guard import Guard

TYPE = on(strict=drop(Guard.ETHERTYPE), mac=drop(Guard.ETHERTYPE), router=drop(Guard.ETHERTYPE))
MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
ARP = on(strict=drop(Guard.ARP), mac=PASS, router=drop(Guard.ARP))
ND = on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND))
RA = on(strict=drop(Guard.RA), mac=PASS, router=drop(Guard.RA))
VRRP = on(strict=drop(Guard.VRRP), mac=PASS, router=drop(Guard.VRRP))
DHCP = on(strict=drop(Guard.DHCP), mac=PASS, router=drop(Guard.DHCP))
PUBLIC = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP))
ADDRESS = on(strict=drop(Guard.IP), mac=PASS, router=PASS)
UNREADABLE_4 = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.DHCP))
HARMLESS = on(strict=PASS, mac=PASS, router=PASS)

UDP4, UDP6, TCP4, TCP6 = "L29/udp4", "L29/udp6", "L29/tcp4", "L29/tcp6"


def row(
    name: str,
    frame: Frame,
    expect: Expectations,
    twin: str,
    *,
    actor: Actor = Actor.GUEST,
    effect: Effect = Effect.DELIVERY,
) -> Variant:
    """One frame, its expected outcome, and its legal twin."""
    return Variant(name=name, frame=frame, expect=expect, twin=twin, actor=actor, effect=effect)


def attack(name: str, title: str, rfc: str, guard: Guard, *variants: Variant) -> Attack:
    """A row; `rfc` are numbers, comma and space between."""
    published = tuple(f"RFC {each}" for each in rfc.split(", "))
    return Attack(
        id=name, title=title, group="X", guard=guard, published=published, variants=variants
    )


def _stolen4(name: str, frame: Callable[..., bytes], twin: str = UDP4) -> Variant:
    """The same frame with the victim's address."""
    return row(f"{name}-stolen", lambda c: frame(c, src=c.v.ip4), PUBLIC, twin)


def _stolen6(name: str, frame: Callable[..., bytes], twin: str = UDP6) -> Variant:
    return row(f"{name}-stolen", lambda c: frame(c, src=c.v.ip6), PUBLIC, twin)


def pair4(name: str, frame: Callable[..., bytes], twin: str = UDP4) -> tuple[Variant, Variant]:
    """Harmless from one's own address, and stolen."""
    return row(name, frame, HARMLESS, twin), _stolen4(name, frame, twin)


def pair6(name: str, frame: Callable[..., bytes], twin: str = UDP6) -> tuple[Variant, Variant]:
    """The same of IPv6."""
    return row(name, frame, HARMLESS, twin), _stolen6(name, frame, twin)


def retyped(kind: int, frame: Frame) -> Frame:
    """A legal frame's payload under another type."""
    return lambda c: frame(c)[:12] + kind.to_bytes(2, "big") + frame(c)[14:]
