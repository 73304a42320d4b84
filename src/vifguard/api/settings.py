"""What an operator may choose of the server's behaviour."""

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
    """Where clients find the server, for the links of its answers; else where they asked."""

    @property
    def behind_proxy(self) -> bool:
        """Whether a proxy stands before the server: who seems to be on this machine need not be."""
        return bool(self.public_url)
