"""If-Match: a change that is meant only for the revision that its maker has seen."""

from __future__ import annotations

from typing import Final

from vifguard.attributes.refusal import bad_request
from vifguard.attributes.values.converters import integer

_WORD: Final = "revision_number="


def revision_of(header: str) -> int | None:
    """The revision that an If-Match names; None where it names none.

    Other entity tags mean nothing here. Raises Refusal (400).
    """
    named = [tag.strip().strip('"') for tag in header.split(",")]
    wanted = [tag.removeprefix(_WORD) for tag in named if tag.startswith(_WORD)]
    if len(wanted) > 1:
        raise bad_request("Multiple revision_number etags are not supported.")
    if not wanted:
        return None
    try:
        number: int = integer(0, 2**31).read(wanted[0])
    except ValueError:
        raise bad_request("Revision number etag must be a number.") from None
    return number
