"""The shape of a row of section K: legitimate frames."""

from __future__ import annotations

from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Expectations,
    Frame,
    Variant,
    everywhere,
)


def legal(
    name: str, frame: Frame, *, expect: Expectations | None = None, actor: Actor = Actor.GUEST
) -> Variant:
    """A frame that must pass everywhere, unless a kind is left out of `expect`."""
    return Variant(name=name, frame=frame, expect=expect or everywhere(PASS), actor=actor)


def row(number: str, title: str, *variants: Variant, note: str = "", waits: str = "") -> Attack:
    """A row of section K."""
    return Attack(id=number, group="K", title=title, variants=variants, note=note, waits_for=waits)
