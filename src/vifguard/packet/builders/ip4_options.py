"""Options of the IPv4 header."""

from __future__ import annotations


def ip4_option(kind: int, value: bytes = b"", *, length: int | None = None) -> bytes:
    """One option (RFC 791, 3.1): kind, length of the whole, value. 131 and 137 route."""
    return bytes((kind, len(value) + 2 if length is None else length)) + value


def router_alert4() -> bytes:
    """Router Alert (RFC 2113), which IGMP reports carry."""
    return ip4_option(148, bytes(2))
