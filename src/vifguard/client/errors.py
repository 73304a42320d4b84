"""The errors of the client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

NAMESAKES: Final = 10
"""The most objects of one name that a message lists."""


class ClientError(Exception):
    """No answer, or a refusal; the message is fit for a person to read."""


class UnreachableError(ClientError):
    """No answer at the server's address, or not in time, or not one of vifguard's."""


class CloudsFileError(ClientError):
    """A clouds.yaml that is missing, open to others, or without the server's address."""


class RefusedError(ClientError):
    """The server refused; carries the fields of its NeutronError.

    `kind` is NeutronError's `type`, such as `NetworkNotFound`; `status` is the HTTP status.
    """

    def __init__(self, status: int, kind: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.detail = detail


class NotFoundError(RefusedError):
    """404: there is no such object, or none that this user may see."""


class NotAllowedError(RefusedError):
    """401 or 403: wrong credentials, or a right that this user lacks."""


class NotInTimeError(RefusedError):
    """408: the awaited event did not happen; the message names the part that is missing."""


class ChangedError(RefusedError):
    """412: another client has changed the object since it was read."""


class AmbiguousError(ClientError):
    """A name that `count` objects bear; `found` are some of them, as the server shows them.

    `ids` are those of the first. Where these are of several projects, the message names each one's.
    """

    def __init__(
        self, noun: str, name: str, found: Sequence[Mapping[str, Any]], count: int
    ) -> None:
        by_id = {one["id"]: one.get("project_id") for one in found[:NAMESAKES]}
        self.ids = sorted(by_id)
        are_alike = len(set(by_id.values())) == 1
        shown = [key if are_alike else f"{key} of project {by_id[key]}" for key in self.ids]
        more = f" and {count - len(shown)} more" if count > len(shown) else ""
        super().__init__(
            f"{count} {noun}s are named {name!r}; say which by its id: {', '.join(shown)}{more}"
        )


_BY_STATUS: dict[int, type[RefusedError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    408: NotInTimeError,
    412: ChangedError,
}


def refusal(status: int, kind: str, message: str, detail: str = "") -> RefusedError:
    """The exception for an answer with this status."""
    return _BY_STATUS.get(status, RefusedError)(status, kind, message, detail)
