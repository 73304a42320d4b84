"""docs/guards.md, printed from the docstrings of this room: `python -m vifguard.semantics.page`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType

from vifguard.model.guard import ALWAYS, GUARDS_OF, Guard, Profile, with_implied
from vifguard.model.verdict import Reason
from vifguard.semantics import (
    arp,
    dhcp,
    ethertype,
    flow,
    groups,
    headers,
    host,
    ip,
    mac,
    nd,
    own,
    public_ip,
    ra,
    storm,
    verdict,
)

_TEXTS: Mapping[Guard, ModuleType] = MappingProxyType(
    {
        Guard.HOST: host,
        Guard.ETHERTYPE: ethertype,
        Guard.MAC: mac,
        Guard.ARP: arp,
        Guard.ND: nd,
        Guard.IP: ip,
        Guard.PUBLIC_IP: public_ip,
        Guard.DHCP: dhcp,
        Guard.RA: ra,
        Guard.STORM: storm,
        Guard.GROUPS: groups,
    }
)

_PREFACE = """\
# What the guards mean

Printed from the docstrings of `src/vifguard/semantics`, the reference against which every
driver is tested; `python -m vifguard.semantics.page > docs/guards.md` prints it anew."""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [
        _PREFACE,
        _section("The verdict", verdict),
        _reasons(_reasons_of(0)),
        _guards(),
        _section("Own addresses", own),
        _section("Headers", headers),
    ]
    for place, guard in enumerate(Guard, start=1):
        sections += [_section(f"`{guard}`", _TEXTS[guard]), _reasons(_reasons_of(place))]
    sections.append(_section("Connections", flow))
    return "\n\n".join(sections) + "\n"


def _section(title: str, module: ModuleType) -> str:
    summary, _, text = (module.__doc__ or "").strip().partition("\n\n")
    return f"## {title}\n\n**{summary}**\n\n{text}"


def _reasons_of(place: int) -> list[Reason]:
    """The reasons of the guard in this place: its codes are the ten from 10 times the place."""
    return [reason for reason in Reason if reason // 10 == place]


def _reasons(reasons: Iterable[Reason]) -> str:
    rows = [(str(int(r)), f"`{_word(r)}`", r.text) for r in reasons]
    return _table(("code", "reason", "a drop says"), rows)


def _word(reason: Reason) -> str:
    return reason.name.lower().replace("_", "-")


def _guards() -> str:
    profiles = tuple(Profile)
    rows = [
        (
            f"`{guard}`",
            *("yes" if guard in GUARDS_OF[p] | ALWAYS else "" for p in profiles),
            ", ".join(f"`{g}`" for g in Guard if g in with_implied({guard}) - {guard}),
        )
        for guard in Guard
    ]
    title = "## Profiles\n\n**Which guards a profile turns on, and which a guard brings along.**"
    return f"{title}\n\n{_table(('guard', *profiles, 'brings along'), rows)}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
