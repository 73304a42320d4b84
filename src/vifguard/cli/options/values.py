"""Values on the command line: from text to the API's form, and the reverse for tables."""

from __future__ import annotations

from typing import Annotated, Any

import typer

DEFAULT = "default"
NONE = "none"

Description = Annotated[str | None, typer.Option(help="Free text.")]
Project = Annotated[
    str | None,
    typer.Option(
        "--project", help="The project that owns it. Only the operator may name another project."
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


def words(text: str) -> list[str]:
    """`a,b` as its words; `none` is no word at all."""
    return [] if text == NONE else [word.strip() for word in text.split(",")]


def many(texts: list[str]) -> list[str]:
    """The values of a repeated option; a single `none` is an empty list."""
    return [] if texts == [NONE] else texts


def number_or_none(field: str, text: str) -> int | None:
    """A whole number, or None for `none`."""
    if text == NONE:
        return None
    if not is_decimal(text):
        raise typer.BadParameter(f"{field} {text!r} is neither a whole number nor {NONE}")
    return int(text)


def ethertypes(texts: list[str]) -> list[int]:
    """`0x88b5` or a decimal number each; `none` is an empty list."""
    numbers = many(texts)
    try:
        return [int(text, 0) for text in numbers]
    except ValueError:
        raise typer.BadParameter(f"--ethertype {numbers} are not numbers such as 0x88b5") from None


def is_decimal(text: str) -> bool:
    """Whether a text is a number of ASCII digits."""
    # Not int(): it also takes " 22 ", "1_0" and digits of other scripts.
    return text.isascii() and text.isdecimal()
