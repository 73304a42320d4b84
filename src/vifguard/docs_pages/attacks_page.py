"""docs/attacks.md, printed from the catalogue: `python -m vifguard.docs_pages.attacks_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from vifguard.lab.attacks import CATALOGUE
from vifguard.lab.attacks.attack import Attack, Kind, Variant

_GROUPS = {
    "A": "MAC identity",
    "B": "IPv4 sources",
    "C": "ARP and RARP",
    "D": "IPv6 neighbour discovery",
    "E": "IPv6 sources and header chains",
    "F": "Router advertisements and DHCP",
    "G": "Ethernet types, tags and encapsulations",
    "H": "The host, and who hears what",
    "I": "API calls",
    "J": "Lifecycle",
    "X": "Our own, from the standards",
    "K": "Legitimate look-alikes that must pass",
}

_PREFACE = """\
# The attacks

Printed from the catalogue in `src/vifguard/lab/attacks`, which is data: the reference, the
kernel's program and the lab all play it.
`python -m vifguard.docs_pages.attacks_page > docs/attacks.md`
prints it anew.

Each frame is played on four kinds of network: **S** shared, profile `strict`; **M** profile
`mac`; **R** profile `router`; **I** a project's own, profile `off`. *drop G*: guard G objects
at the sending port, nobody hears the frame, no table changes. *pass*: delivered, once, to whom
it is addressed. *contained*: no guard objects; it never leaves its own segment and never
reaches the host. Every frame that must drop has a twin in section K that must pass on the
same path; it is played cold, and again right behind its twin.

The matrix: the catalogue is played by each way to attach (TCX, clsact filters), along
each path, cold and right behind a legal frame, with the attacker's port older and younger than
its neighbours', and at ports with no security group, one (s1g1) and five (s1g5). `make test`
plays one of each; `make conformance-full` plays them all. The groups let everything pass, so that
every guard before them has to object by itself; frames that groups refuse whatever their rules
(later fragments without their first, headers that nobody can read) are left out there, and are
the triangle's to compare. What groups judge, scenario s4 plays.

Where a row and the guards' text disagreed, the text won:
[decision 0001](decisions/0001-catalogue-and-guard-table.md)."""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_PREFACE, _figures()]
    for letter, title in _GROUPS.items():
        parts.append(f"## {letter}. {title}")
        parts += (_row(attack) for attack in CATALOGUE if attack.group == letter)
    return "\n\n".join(parts) + "\n"


def _figures() -> str:
    waiting = sum(bool(attack.waits_for) for attack in CATALOGUE)
    variants = sum(len(attack.variants) for attack in CATALOGUE)
    calls = sum(len(attack.refused) for attack in CATALOGUE)
    elsewhere = sum(bool(attack.proved_by) for attack in CATALOGUE)
    return (
        f"{len(CATALOGUE)} rows, {variants} frames, {calls} calls; {elsewhere} rows name tests of"
        f" their own; {waiting} rows wait for a later feature."
    )


def _row(attack: Attack) -> str:
    return "\n\n".join(_parts(attack))


def _parts(attack: Attack) -> Iterator[str]:
    yield f"### `{attack.id}`"
    guard = f" Guard: `{attack.guard}`." if attack.guard else ""
    published = "" if attack.group == "K" else f" Published: {_published(attack)}."
    yield f"{attack.title}.{guard}{published}"
    if attack.prelude:
        yield f"Played after this: {attack.prelude}."
    if attack.variants:
        yield "\n".join(_table(attack.variants))
    if attack.refused:
        calls = ", ".join(f"`{refused.name}`" for refused in attack.refused)
        yield f"Refused by the API, with nothing stored: {calls}."
    if attack.proved_by:
        tests = ", ".join(f"`{test}`" for test in attack.proved_by)
        yield f"Proved by {tests}."
    if attack.waits_for:
        yield f"Waits for {attack.waits_for}."
    if attack.note:
        yield attack.note


def _published(attack: Attack) -> str:
    return ", ".join(attack.published) or "protocol quirk"


def _table(variants: Iterable[Variant]) -> Iterator[str]:
    yield "| frame | played by | S | M | R | I | twin |"
    yield "|---|---|---|---|---|---|---|"
    for variant in variants:
        cells = [str(variant.expect.get(kind, "")) for kind in Kind]
        twin = f"`{variant.twin}`" if variant.twin else ""
        yield f"| `{variant.name}` | {variant.actor} | {' | '.join(cells)} | {twin} |"


if __name__ == "__main__":
    sys.stdout.write(page())
