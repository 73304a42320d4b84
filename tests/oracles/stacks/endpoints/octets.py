"""What endpoints have in common: the octets they send, addresses in text, lines out."""

from __future__ import annotations

import socket
import sys

Address = tuple[str, int]
BLOCK = bytes((i * 31 + (i >> 8)) & 0xFF for i in range(65521))
"""What is sent, over and over: its length divides no other, so a shift would be seen."""


def pattern(offset: int, octets: int) -> bytes:
    """So many octets of the stream from an offset on."""
    start = offset % len(BLOCK)
    return (BLOCK * ((start + octets) // len(BLOCK) + 1))[start : start + octets]


def split(written: str) -> Address:
    """Host and port of an address in text."""
    host, _, port = written.rpartition(":")
    return host.strip("[]"), int(port)


def address(written: str) -> Address:
    """The address of a socket, from text; a scope becomes its number."""
    return numeric(*split(written))


def numeric(host: str, port: int) -> Address:
    """The address of a socket, from a host that may have a scope."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    return found[0][4]  # type: ignore[return-value]


def text(sender: tuple[str, int]) -> str:
    """An address as text, without its scope."""
    host = sender[0].split("%")[0]
    return f"[{host}]:{sender[1]}" if ":" in host else f"{host}:{sender[1]}"


def write_line(line: str) -> None:
    """One line out."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
