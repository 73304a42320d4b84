"""Options of guards, for networks and ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import typer

from vifguard.cli.options.attribute_options import Spelling, of_text
from vifguard.cli.options.values import DEFAULT, is_decimal


def guard_choice(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a request in which a choice of guards ends an earlier one.

    The API takes a profile or guards. Raises a usage error where both are given.
    """
    if body.keys() >= {"guard_profile", "guards"}:
        raise typer.BadParameter("give --guard-profile or --guards, not both")
    if body.keys() & {"guard_profile", "guards"}:
        return {"guard_profile": None, "guards": None} | body
    return body


def storm(text: str) -> dict[str, int]:
    """`1000/2000`, or `1000` for the same burst."""
    rate, slash, burst = text.partition("/")
    if not is_decimal(rate) or not (is_decimal(burst) or not slash):
        raise typer.BadParameter(f"--storm {text!r} is not RATE/BURST such as 1000/2000")
    return {"rate": int(rate), "burst": int(burst or rate)}


def learned_limits(text: str) -> dict[str, int]:
    """`1/16`: how many link-local addresses for each MAC, and how many others."""
    link_local, _, others = text.partition("/")
    if not (is_decimal(link_local) and is_decimal(others)):
        raise typer.BadParameter(f"--learned-limits {text!r} is not LINK-LOCAL/OTHERS such as 1/16")
    return {"link_local": int(link_local), "others": int(others)}


GUARD_OPTIONS: Final[Mapping[str, Spelling]] = {
    "port_security_enabled": Spelling("--port-security/--no-port-security"),
    "guard_profile": Spelling(null=DEFAULT),
    "guards": Spelling(null=DEFAULT),
    "storm": Spelling(metavar="RATE/BURST", null=DEFAULT, read=of_text(storm)),
    "learned_limits": Spelling(metavar="LINK-LOCAL/OTHERS", read=of_text(learned_limits)),
}
"""The spellings of the attributes of guards."""
