"""JSON in: strict, bounded, and never an exception that is not a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from vifguard.attributes.refusal import Refusal, bad_request

MAX_BODY = 2 * 1024 * 1024
"""Bytes of a request's body."""

MAX_REPORT = 16 * 1024 * 1024
"""Bytes of an agent's report. The largest that one makes, of a thousand ports with reasons of a
KiB, ten thousand of each kind of small facts, and two thousand dropped frames, has six MiB;
`feed.messages` has the bound of each list and text."""

MAX_DEPTH = 16
"""Objects and lists within each other."""


def parse_body(body: bytes) -> dict[str, Any]:
    """The one JSON object of a body; raises Refusal (400)."""
    try:
        document = json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise bad_request(f"Malformed request body: {_first_line(error)}") from None
    if not isinstance(document, dict):
        raise bad_request("Malformed request body: a JSON object is expected")
    _require_depth(document)
    return document


def objects_in(document: dict[str, Any]) -> int:
    """The number of objects that a document lists, at any depth: of a bulk, of address pairs.

    At least one: a document without a list is one object.
    """
    found = 0
    level: list[Any] = [document]
    while level:
        listed = [inner for value in level if isinstance(value, list) for inner in value]
        found += sum(isinstance(each, dict) for each in listed)
        level = [inner for value in level for inner in _inside(value)]
    return max(found, 1)


def too_large(limit: int) -> Refusal:
    """The refusal of a body beyond the limit (bytes)."""
    return Refusal(
        413, "HTTPRequestEntityTooLarge", f"The request body is larger than {limit} bytes."
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two parsers that disagree on which of two equal keys counts see two requests in one.
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name!r} is given twice")
        found[name] = value
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _require_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise bad_request(f"Malformed request body: nested deeper than {MAX_DEPTH}")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _first_line(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH}"
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error).splitlines()[0][:200]
