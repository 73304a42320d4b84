"""Values on the command line: from text to the API's form, and the reverse for tables."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.model.guard import SELECTABLE, Guard, LinkLocal, Profile, Role

DEFAULT = "default"
NONE = "none"

_PROFILES = ", ".join(profile.value for profile in Profile)
_GUARDS = ", ".join(guard.value for guard in Guard if guard in SELECTABLE)
_ROLES = ", ".join(role.value for role in Role)
_LINK_LOCALS = ", ".join(choice.value for choice in LinkLocal)

Name = Annotated[str, typer.Argument(help="The new object's name.")]
NewName = Annotated[str | None, typer.Option("--name", help="A new name.")]
Description = Annotated[str | None, typer.Option(help="Free text.")]
Project = Annotated[
    str | None,
    typer.Option(
        "--project", help="The project that owns it. Only the operator may name another project."
    ),
]
AdminState = Annotated[
    bool | None,
    typer.Option(
        "--enable/--disable", help="Whether it is enabled. A disabled one passes nothing."
    ),
]
PortSecurity = Annotated[
    bool | None,
    typer.Option("--port-security/--no-port-security", help="Whether guards are in force."),
]
GuardProfile = Annotated[
    str | None,
    typer.Option(help=f"One of {_PROFILES}; or {DEFAULT}: the one that applies without a choice."),
]
Guards = Annotated[
    str | None,
    typer.Option(help=f"Instead of a profile: some of {_GUARDS}; {NONE}; or {DEFAULT}."),
]
Roles = Annotated[str | None, typer.Option(help=f"Some of {_ROLES}; or {NONE}.")]
LinkLocals = Annotated[
    str | None, typer.Option("--link-local", help=f"IPv6 link-local addresses: {_LINK_LOCALS}.")
]
LearnedLimits = Annotated[
    str | None,
    typer.Option(
        metavar="LINK-LOCAL/OTHERS",
        help="IPv6 addresses that a guest may choose itself: link-local ones for each MAC, and "
        "others on SLAAC subnets, such as 1/16.",
    ),
]
StormRate = Annotated[
    str | None,
    typer.Option(
        "--storm",
        metavar="RATE/BURST",
        help="Broadcasts a guest may send: frames a second, and how many at once.",
    ),
]


def present(**fields: Any) -> dict[str, Any]:
    """The fields that were given; None is "not given"."""
    return {name: value for name, value in fields.items() if value is not None}


def changes(body: dict[str, Any]) -> dict[str, Any]:
    """The body of an update; a usage error where it changes nothing."""
    if not body:
        raise typer.BadParameter("nothing to set: give at least one option")
    return body


def words(text: str | None) -> list[str] | None:
    """`a,b` as its words; `none` is no word at all."""
    if text is None:
        return None
    return [] if text == NONE else [word.strip() for word in text.split(",")]


def many(texts: list[str] | None) -> list[str] | None:
    """The values of a repeated option; a single `none` is an empty list."""
    if not texts:
        return None
    return [] if texts == [NONE] else texts


def number_or_none(field: str, text: str) -> int | None:
    """A whole number, or None for `none`."""
    if text == NONE:
        return None
    if not _decimal(text):
        raise typer.BadParameter(f"{field} {text!r} is neither a whole number nor {NONE}")
    return int(text)


def guard_choice(profile: str | None, guards: str | None) -> dict[str, Any]:
    """The fields that choose guards; `default` clears a choice made earlier.

    The API takes a profile or guards: choosing one ends a choice of the other.
    """
    if profile is not None and guards is not None:
        raise typer.BadParameter("give --guard-profile or --guards, not both")
    if profile is not None:
        return {"guard_profile": None if profile == DEFAULT else profile, "guards": None}
    if guards is not None:
        return {"guard_profile": None, "guards": None if guards == DEFAULT else words(guards)}
    return {}


def storm(text: str | None) -> dict[str, int] | None:
    """`1000/2000`, or `1000` for the same burst."""
    if text is None:
        return None
    rate, slash, burst = text.partition("/")
    if not _decimal(rate) or not (_decimal(burst) or not slash):
        raise typer.BadParameter(f"--storm {text!r} is not RATE/BURST such as 1000/2000")
    return {"rate": int(rate), "burst": int(burst or rate)}


def learned_limits(text: str | None) -> dict[str, int] | None:
    """`1/16`: how many link-local addresses for each MAC, and how many others."""
    if text is None:
        return None
    link_local, _, others = text.partition("/")
    if not (_decimal(link_local) and _decimal(others)):
        raise typer.BadParameter(f"--learned-limits {text!r} is not LINK-LOCAL/OTHERS such as 1/16")
    return {"link_local": int(link_local), "others": int(others)}


def ethertypes(texts: list[str] | None) -> list[int] | None:
    """`0x88b5` or a decimal number each; `none` is an empty list."""
    numbers = many(texts)
    if numbers is None:
        return None
    try:
        return [int(text, 0) for text in numbers]
    except ValueError:
        raise typer.BadParameter(f"--ethertype {numbers} are not numbers such as 0x88b5") from None


def _decimal(text: str) -> bool:
    # Not int(): it also takes " 22 ", "1_0" and digits of other scripts.
    return text.isascii() and text.isdecimal()
