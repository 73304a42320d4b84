"""The errors of the client."""

from __future__ import annotations


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
    """A name that `count` objects bear; `ids` are those of the first."""

    def __init__(self, noun: str, name: str, ids: list[str], count: int) -> None:
        more = f" and {count - len(ids)} more" if count > len(ids) else ""
        super().__init__(
            f"{count} {noun}s are named {name!r}; say which by its id: {', '.join(ids)}{more}"
        )
        self.ids = ids


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
