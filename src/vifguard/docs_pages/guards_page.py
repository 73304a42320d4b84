"""docs/guards.md, printed from `semantics`: `python -m vifguard.docs_pages.guards_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import MappingProxyType, ModuleType

from vifguard.docs_pages.markdown import table
from vifguard.model.guard import ALWAYS, GUARDS_OF, Guard, Profile, with_implied
from vifguard.model.verdict import Reason
from vifguard.semantics import (
    arp,
    dhcp,
    ethertype,
    flow,
    fragments,
    groups,
    headers,
    host,
    ip,
    mac,
    nd,
    offload,
    ownership,
    public_ip,
    ra,
    storm,
    tcp,
    verdict,
    vrrp,
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
        Guard.VRRP: vrrp,
        Guard.STORM: storm,
        Guard.SECURITY_GROUPS: groups,
    }
)

_FIRST_CODES: Mapping[int, Guard | None] = MappingProxyType(
    {
        0: None,
        10: Guard.HOST,
        20: Guard.ETHERTYPE,
        30: Guard.MAC,
        40: Guard.ARP,
        50: Guard.ND,
        60: Guard.IP,
        66: Guard.DHCP,
        67: Guard.IP,
        70: Guard.PUBLIC_IP,
        80: Guard.DHCP,
        90: Guard.RA,
        94: Guard.VRRP,
        100: Guard.STORM,
        110: Guard.SECURITY_GROUPS,
    }
)
"""The guard of the reasons' codes from each of these on: codes are never renumbered."""

_PREFACE = """\
# What the guards mean

Printed from the docstrings of `src/vifguard/semantics`, the reference against which every
driver is tested; `python -m vifguard.docs_pages.guards_page > docs/guards.md` prints it anew."""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [
        _PREFACE,
        _section("The verdict", verdict),
        _reasons(_reasons_of(None)),
        _guards(),
        _section("Own addresses", ownership),
        _section("Headers", headers),
        _section("Offloads", offload),
    ]
    for guard in Guard:
        sections += [_section(f"`{guard}`", _TEXTS[guard]), _reasons(_reasons_of(guard))]
    sections += [
        _section("Connections", flow),
        _section("TCP connections", tcp),
        _section("Fragments", fragments),
    ]
    sections.insert(1, _contents(sections))
    return "\n\n".join(sections) + "\n"


def _contents(sections: Iterable[str]) -> str:
    """A link to each section, by the anchor that a forge makes of its title."""
    titles = [each.partition("\n")[0][3:] for each in sections if each.startswith("## ")]
    return "\n".join(
        f"* [{title}](#{title.lower().replace('`', '').replace(' ', '-')})" for title in titles
    )


def _section(title: str, module: ModuleType) -> str:
    summary, _, text = (module.__doc__ or "").strip().partition("\n\n")
    return f"## {title}\n\n**{summary}**\n\n{text}"


def _reasons_of(guard: Guard | None) -> list[Reason]:
    """The reasons of a guard; None: of a port that is closed."""

    def whose(reason: Reason) -> Guard | None:
        return _FIRST_CODES[max(code for code in _FIRST_CODES if code <= reason)]

    return [reason for reason in Reason if whose(reason) is guard]


def _reasons(reasons: Iterable[Reason]) -> str:
    rows = [(str(int(r)), f"`{_word(r)}`", r.text) for r in reasons]
    return table(("code", "reason", "a drop says"), rows)


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
    return f"{title}\n\n{table(('guard', *profiles, 'brings along'), rows)}"


if __name__ == "__main__":
    sys.stdout.write(page())
