"""ICMP errors about a packet of a connection."""

from __future__ import annotations

from random import Random

from tests.oracles.conntrack import wire
from tests.oracles.conntrack.steps import FROM, ROUTER, TO, Connection, Sent, other

from vifguard.packet import build

KINDS = {
    4: ((3, 0), (3, 1), (3, 3), (3, 4), (11, 0), (11, 1), (12, 0), (4, 0), (5, 1)),
    6: ((1, 0), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (100, 0)),
}
"""Type and code."""


def error(
    connection: Connection,
    about: Sent,
    kind: tuple[int, int] | None = None,
    *,
    quoted: bytes | None = None,
    from_router: bool = True,
    to: str = "",
    checksum: int | None = None,
    what: str = "error",
) -> Sent:
    """An error about a packet, to its sender; it quotes it whole, or `quoted`."""
    sender = other(about.direction)
    version = connection.version
    octets = about.frames[0][wire.HEADER :] if quoted is None else quoted
    make, piece = (build.ipv4, build.icmpv4) if version == 4 else (build.ipv6, build.icmpv6)
    src, dst = connection.addresses(sender)
    if from_router and sender is not FROM:
        src = ROUTER[version]
    message = piece(*(kind or KINDS[version][0]), bytes(4) + octets[:1200], checksum=checksum)
    return Sent(
        sender, wire.framed(sender, (make(src, to or dst, message),)), what, None, checksum is None
    )


def error_about(random: Random, connection: Connection, about: Sent) -> Sent | None:
    """An error, right or a little wrong; None where there is none about this."""
    octets = about.frames[0][wire.HEADER :]
    protocol = octets[9] if connection.version == 4 else octets[6]
    if protocol in (1, 58) and connection.protocol != protocol:
        return None  # no error is sent about an error
    if random.random() < 0.3:
        header = (octets[0] & 15) * 4 if connection.version == 4 else 40
        octets = octets[: header + random.choice((8, 8, 20))]
    if random.random() < 0.1:
        octets = octets[: random.choice((4, 20, 24, 40, 44))]
    kind = random.choice(KINDS[connection.version])
    return error(
        connection,
        about,
        kind,
        quoted=octets,
        from_router=random.random() < 0.6,
        to=ROUTER[connection.version] if about.direction is TO and random.random() < 0.1 else "",
        checksum=1 if random.random() < 0.05 else None,
    )
