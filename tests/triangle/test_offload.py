"""Reference = eBPF program for every place at which a checksum may be left to be completed."""

from collections.abc import Iterator
from itertools import product

import pytest
from tests.triangle import universe
from tests.triangle.agreement import disagreement
from tests.triangle.decider import is_testable, private_driver
from tests.triangle.kernel import Kernel

from vifguard.model.verdict import Direction
from vifguard.packet import build
from vifguard.packet.frame import Frame, parse
from vifguard.packet.offload import Offload, PartialChecksum

pytestmark = pytest.mark.kernel

SHOWN = 20
STARTS = (0, 14, 17, 18, 20, 33, 34, 35, 38, 42, 46, 54, 55, 62, 70, 0xFFFF)
OFFSETS = (0, 2, 5, 6, 7, 8, 10, 16, 17, 0xFFFF)
SIZES = (0, 1, 1448)


@pytest.fixture(scope="module")
def kernel():
    with private_driver() as driver:
        yield Kernel(driver)


def pieces() -> Iterator[build.Layer]:
    """Every kind of upper layer that decides where a checksum belongs."""
    ports = (1, 67, 68, 546, 547)
    yield from (build.udp(source, target, bytes(40)) for source, target in product(ports, ports))
    yield build.tcp(67, 68, bytes(20))
    yield from (build.Layer(bytes(40), number) for number in (1, 2, 4, 41, 47, 50, 58, 112, 253))
    yield from (build.Layer(bytes(length), 132) for length in (11, 12, 40))
    # Headers cut short: what is left to be completed would be written behind them.
    yield from (build.Layer(bytes(length), 6) for length in (0, 10, 19, 20))
    yield from (build.Layer(bytes(length), 17) for length in (0, 4, 7, 8))


def frames() -> Iterator[bytes]:
    """These in both families, behind options and extension headers, as fragments; and no IP."""
    own = other = universe.OWN  # so that each is its own port's either way
    for piece in pieces():
        own4, other4, own6, other6 = (
            universe.OWN4, universe.OTHER4, universe.OWN6, universe.OTHER6,
        )  # fmt: skip
        yield from (
            build.ethernet(own, other, packet)
            for packet in (
                build.ipv4(own4, other4, piece),
                build.ipv4(own4, other4, piece, options=build.router_alert4()),
                build.ipv4(own4, other4, piece, more_fragments=True),
                build.ipv4(own4, other4, piece, offset=3),
                build.ipv4(own4, other4, piece, total_length=19),
                build.ipv6(own6, other6, piece),
                build.ipv6(own6, other6, build.destination_options(piece)),
                build.ipv6(own6, other6, build.fragment(piece, 0, more=False)),
                build.vlan(build.ipv4(own4, other4, piece), 100),
            )
        )
    yield build.ethernet(own, other, build.arp(own, universe.OWN4))
    yield build.ethernet(own, other, build.rarp(own))
    yield build.ethernet(own, other, build.Layer(bytes(60), 0x88B5))


def offloads() -> Iterator[Offload]:
    for start, offset, crc in product(STARTS, OFFSETS, (False, True)):
        yield Offload(PartialChecksum(start, offset, crc))
    yield from (Offload(gso_size=size) for size in SIZES)
    yield Offload(PartialChecksum(34, 6), gso_size=1)


@pytest.fixture(scope="module")
def left() -> list[tuple[bytes, Frame]]:
    """One in seven of all: the others tell no more, and take a minute."""
    every = product(filter(is_testable, frames()), offloads())
    return [(f, parse(f, offload=o)) for n, (f, o) in enumerate(every) if n % 7 == 0]


@pytest.mark.parametrize("name", ["strict", "mac", "off", "only ip", "strict, two more types"])
@pytest.mark.parametrize("direction", Direction)
def test_the_program_says_what_the_reference_says(kernel, left, name, direction) -> None:
    policy = dict(universe.policies())[name]
    kernel.hold(policy)
    found = [
        said for frame, parsed in left
        if (said := disagreement(kernel, policy, direction, frame, parsed))
    ]  # fmt: skip
    assert not found, f"{len(found)} of {len(left)}:\n" + "\n".join(found[:SHOWN])
