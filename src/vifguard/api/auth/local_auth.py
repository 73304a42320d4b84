"""Local access without authentication, by loopback or unix socket: each caller is the operator.

The Host header alone is checked: a web page whose name was made to point at 127.0.0.1 (DNS
rebinding) sends its own name there, and could otherwise read every answer.
"""

from __future__ import annotations

import re

from vifguard.api.access.principal import Principal, UserRole

_LOOPBACK = re.compile(
    r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_OPERATOR = Principal("operator", "operator", frozenset({UserRole.ADMIN}))


class LocalAuth:
    """The authenticator to which each caller that uses a name of this machine is the operator."""

    header = "host"
    challenge = "None"
    hint = "a Host header that names this machine: localhost, 127.0.0.1 or [::1]"
    max_concurrent = 1

    def cached(self, value: str) -> Principal | None:
        """The operator, or None where the request was meant for another name."""
        return _OPERATOR if _LOOPBACK.fullmatch(value) else None

    def verify(self, value: str) -> Principal | None:
        """The same."""
        return self.cached(value)
