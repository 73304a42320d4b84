"""Settings of the server that an operator may choose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Each choice has a default that suits one host and a small cloud."""

    requests_per_second: float | None = 500.0
    """Of each project's members and readers; 0 lets none through, None does not count."""

    access_log: bool = False
    """Whether each request is a line in the log `vifguard.access`."""

    public_url: str = ""
    """The URL of the server, for the links of its answers; empty: the URL of the request."""

    @property
    def behind_proxy(self) -> bool:
        """Whether a proxy stands before the server: clients that seem local may be remote."""
        return bool(self.public_url)
