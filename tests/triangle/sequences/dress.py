"""How a packet can look on the wire: options, extension headers, fragments, padding."""

from random import Random

from tests.triangle.sequences.talk import Talk, frame

from vifguard.model.verdict import Direction
from vifguard.packet import build

_CUTS = (8, 16, 24, 24, 32, 40, 64)


def dressed(
    random: Random, talk: Talk, speaker: Direction, payload: build.Layer
) -> tuple[bytes, ...]:
    """The frames of one packet, more than one where it is fragmented; mostly the plain one."""
    dress = random.randrange(100)
    if dress < 82:
        frames = (frame(talk, speaker, payload),)
    elif dress < 90:
        frames = _fragments(random, talk, speaker, payload)
    elif talk.version == 6:
        frames = (frame(talk, speaker, _extended(random, payload)),)
    else:
        options = random.choice((b"\1\1\1\0", build.router_alert4(), b"\x07\x07\x04\0\0\0\0\0"))
        frames = (frame(talk, speaker, payload, options=options),)
    return tuple(build.pad(each, 80) for each in frames) if dress % 10 == 0 else frames


def _fragments(
    random: Random, talk: Talk, speaker: Direction, payload: build.Layer
) -> tuple[bytes, ...]:
    if talk.version == 6 and random.random() < 0.2:  # An atomic one: RFC 6946.
        return (frame(talk, speaker, build.fragment(payload, ident=random.randrange(3))),)
    longer = build.Layer(payload.octets + bytes(random.choice((8, 24, 64))), payload.number)
    addresses = talk.addresses(speaker)
    sizes = {"size": random.choice(_CUTS), "ident": random.randrange(3)}
    packets = build.fragments(*addresses, longer, **sizes)
    return tuple(build.ethernet(*talk.macs(speaker), each) for each in packets)


def _extended(random: Random, payload: build.Layer) -> build.Layer:
    """Behind one to nine extension headers; the checksum is of what is inside."""
    inside = payload
    headers = (build.destination_options, build.destination_options, build.authentication)
    for _ in range(random.choice((0, 1, 1, 2, 7, 8))):
        inside = random.choice(headers)(inside)
    if random.random() < 0.2:
        inside = build.routing(inside)
    if random.random() < 0.3:
        inside = build.fragment(inside, ident=random.randrange(3), more=random.random() < 0.5)
    return build.hop_by_hop(inside) if random.random() < 0.5 else inside
