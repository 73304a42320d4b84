"""Refusals of what a request holds, with their HTTP status and Neutron's type."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):  # noqa: N818 - not an error of ours: what the caller asked is refused
    """An answer other than success: the HTTP status, Neutron's type, and the reason."""

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.headers = headers


def bad_request(message: str) -> Refusal:
    """400: the request holds something impossible."""
    return Refusal(400, "HTTPBadRequest", message)


def invalid_input(message: str) -> Refusal:
    """400: the values contradict each other, or the object they belong to."""
    return Refusal(400, "InvalidInput", message)


def forbidden(message: str) -> Refusal:
    """403: the request is understood, and is not for this user."""
    return Refusal(403, "PolicyNotAuthorized", message)


def conflict(kind: str, message: str) -> Refusal:
    """409: the request contradicts the present state."""
    return Refusal(409, kind, message)
