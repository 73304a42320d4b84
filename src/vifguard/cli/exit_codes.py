"""Exit codes, and the code for each error."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from vifguard.client.errors import (
    AmbiguousError,
    CloudsFileError,
    NotAllowedError,
    NotFoundError,
    NotInTimeError,
    UnreachableError,
)


class ExitCode(IntEnum):
    """The exit code of the command, for programs. Documented in docs/cli.md."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNREACHABLE = 5
    NOT_ENFORCED = 6


class InputError(Exception):
    """An input of the user that cannot be used; the message names it and gives the remedy."""


class HalfwayError(Exception):
    """A step of several failed; `cause` is its error, `report` the results of those before it."""

    def __init__(self, what: str, cause: BaseException, report: Sequence[str]) -> None:
        why = str(cause) or "interrupted"
        super().__init__("\n  ".join((f"{what}: {why}", *report)))
        self.cause = cause


_CODES: tuple[tuple[type[Exception], ExitCode], ...] = (
    (NotFoundError, ExitCode.NOT_FOUND),
    (NotAllowedError, ExitCode.NOT_ALLOWED),
    (NotInTimeError, ExitCode.NOT_ENFORCED),
    (UnreachableError, ExitCode.UNREACHABLE),
    (CloudsFileError, ExitCode.UNREACHABLE),
    (AmbiguousError, ExitCode.USAGE),
    (InputError, ExitCode.USAGE),
)


def exit_code(error: BaseException) -> ExitCode:
    """The code that the command ends with after this error."""
    if isinstance(error, HalfwayError):
        return exit_code(error.cause)
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.REFUSED
