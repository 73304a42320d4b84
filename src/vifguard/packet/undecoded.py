"""Octets that are not decoded: not to be read further, or not readable at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opaque:
    """Octets of a protocol that is not looked into."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Octets that contradict themselves or their container, and the reason.

    The contradiction shows in their first `seen_in` octets.
    """

    why: str
    octets: bytes
    seen_in: int = 1
