"""The schedule at a site: each frame of the catalogue, or why it cannot be played there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vifguard.lab.attacks import CATALOGUE, VARIANTS
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import (
    Actor,
    Attack,
    Effect,
    Expected,
    Offload,
    Outcome,
    Path,
    Variant,
)
from vifguard.lab.audit.site import Site, VantagePoint
from vifguard.lab.audit.site_actors import SiteActors

_NOBODY_PLAYS = {
    Actor.ONLY_4: "no port of an IPv4 address alone is at hand",
    Actor.ONLY_6: "no port of an IPv6 address alone is at hand",
    Actor.ROLES: "no port that may serve DHCP and advertise routers is at hand",
    Actor.CLOSED: "no port that the host holds closed is at hand",
    Actor.IP_GUARD: "no port with the address guard alone is at hand",
    Actor.TAP: "no tap that the player itself holds is at hand",
    Actor.OUTSIDE: "no post beyond the host's uplink is at hand",
}
_FAMILIES = {b"\x08\x00": 4, b"\x08\x06": 4, b"\x86\xdd": 6}


@dataclass(frozen=True, slots=True)
class Probe:
    """One frame to send, and the offload that a device is asked to do."""

    frame: bytes
    offload: Offload | None = None


@dataclass(frozen=True, slots=True)
class AuditCase:
    """One frame of the catalogue at a site.

    `why` is the reason why it cannot be played there, empty where it can. `twin` is the legal frame
    that must pass, `no_twin` the reason why there is none here; `warm` is played behind the twin.
    """

    attack: Attack
    variant: Variant
    expected: Expected
    player: VantagePoint
    shot: Probe
    why: str = ""
    twin: Probe | None = None
    no_twin: str = ""
    warm: Probe | None = None

    @property
    def must_drop(self) -> bool:
        """Whether a guard of the level must refuse it."""
        return self.expected.outcome is Outcome.DROP

    @property
    def is_legal(self) -> bool:
        """Whether it is ordinary traffic of a guest that keeps the rules."""
        return self.attack.group == "K" and self.expected.outcome is Outcome.PASS


def cases(site: Site, rows: Iterable[Attack] = CATALOGUE) -> list[AuditCase]:
    """Every frame that the site's level has an expectation for, in the order of the catalogue.

    Those to a MAC that nobody has come first: once an attack has forged that MAC, even a host
    that floods knows where it is, and its silence would prove nothing.
    """
    roles = SiteActors.of(site)
    found = [
        _case(site, roles, attack, variant)
        for attack in rows
        for variant in attack.variants
        if site.level in variant.expect
    ]
    return sorted(found, key=lambda case: not is_stray(case.shot.frame, site))


def is_stray(frame: bytes, site: Site) -> bool:
    """Whether the frame is addressed to one MAC that no post has."""
    if not frame or frame[0] & 1:
        return False
    return all(frame[:6] != post.mac.octets for post in site.posts)


def _case(site: Site, roles: SiteActors, attack: Attack, variant: Variant) -> AuditCase:
    player = {Actor.GUEST: site.attacker, Actor.OUTSIDE: site.outside}.get(variant.actor)
    expected = variant.expect[site.level]
    why = _waits(attack, variant, expected)
    if player is None:
        missing = why or _NOBODY_PLAYS[variant.actor]
        return AuditCase(attack, variant, expected, site.attacker, Probe(b""), missing)
    cast = roles.cast.with_attacker(roles.stations[player.name])
    shot = _shot(variant, cast)
    why = why or roles.lacking(shot.frame) or _unfit(shot, expected, player)
    twin, no_twin = _twin(site, roles, variant, player)
    return AuditCase(
        attack,
        variant,
        expected,
        player,
        Probe(b"") if roles.lacking(shot.frame) else shot,
        why,
        twin,
        no_twin,
        Probe(variant.warm(cast)) if variant.warm else None,
    )


def _waits(attack: Attack, variant: Variant, expected: Expected) -> str:
    """Why no audit can play it, whatever the site; empty where one can."""
    if attack.waits_for:
        return f"the kit cannot play it before it knows {attack.waits_for}"
    if attack.prelude is not None:
        return f"only the host itself can do what comes before it: {attack.prelude}"
    if Path.GUEST not in variant.paths or expected.outcome is Outcome.CONTAINED:
        return "only the host's own sockets could hear it"
    return ""


def _unfit(shot: Probe, expected: Expected, player: VantagePoint) -> str:
    family = _FAMILIES.get(shot.frame[12:14])
    address = {4: player.ip4, 6: player.ip6}.get(family, True) if family else True
    if expected.outcome is Outcome.PASS and address is None:
        return f"the {player.name} has no IPv{family} address here"
    return ""


def _twin(
    site: Site, roles: SiteActors, variant: Variant, player: VantagePoint
) -> tuple[Probe | None, str]:
    """The legal frame that proves that the filter does not just drop everything."""
    if not variant.twin:
        return None, ""
    twin = VARIANTS[variant.twin]
    expected = twin.expect.get(site.level)
    shot = _shot(twin, roles.cast.with_attacker(roles.stations[player.name]))
    if expected is None or expected.outcome is not Outcome.PASS:
        why = f"it need not pass at level {site.level.profile}"
    else:
        why = roles.lacking(shot.frame) or _unfit(shot, expected, player)
    return (None, f"its legal twin {variant.twin}: {why}") if why else (shot, "")


def _shot(variant: Variant, cast: Actors) -> Probe:
    return Probe(variant.frame(cast), variant.offload(cast) if variant.offload else None)


def unheard(case: AuditCase) -> str:
    """Why even an unguarded host would not deliver the frame; empty if it would."""
    if case.variant.effect is Effect.HOST:
        return "only the host itself could hear it, so that silence proves nothing"
    if case.variant.effect is Effect.NONE:
        return "no bridge forwards it, so that silence proves nothing"
    if case.variant.effect is Effect.UNSENT:
        return "a kernel throws it away before any filter, so that silence proves nothing"
    if case.shot.frame[:6] == case.player.mac.octets:
        return "it is addressed to the player itself, so that silence proves nothing"
    return ""
