"""The table of connections is full: whose go, whose stay, and who is told that there is no room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest
from tests.triangle.sequences import host
from tests.triangle.sequences.host import FROM, TO
from tests.triangle.sequences.program import Program, with_program
from tests.triangle.sequences.steps import Held
from tests.triangle.sequences.talk import Talk, frame, other

from vifguard.model.guard import Guard
from vifguard.model.security_group import Rule, Rulebook
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.semantics.flow import ACK, RST, SYN

pytestmark = pytest.mark.kernel

FULL = (Guard.GROUPS, Reason.FLOW_TABLE_FULL)
FLOODER, VICTIM, THIRD = 0, 1, 2
PLACES = 8
DEFAULT_BUCKETS = 65536
MILLION = 1_000_000
VERSIONS = (4, 6)
_ANYTHING = frozenset(Rule(way, version) for way in Direction for version in VERSIONS)
_BATCH = 4096
_FIRST = 0x64400000
"""100.64.0.0: other addresses, or identifications, by counting up."""
_IPV4_DESTINATION, _IPV6_IDENT = 30, 58


def full(work: Callable[[Program], None], buckets: int) -> None:
    """`work` with ports that may open anything, and a table of so many buckets."""

    def begun(program: Program) -> None:
        program.begin(0)
        program.set_clock(10**9)
        policies = tuple(
            replace(policy, security_groups=frozenset({"all"}), stateful=True)
            for policy in host.base().policies
        )
        program.hold(Held(policies, Rulebook({"all": _ANYTHING}, {})))
        work(program)

    with_program(begun, buckets)


def connections(port: int, count: int, *, first: int = 0) -> Iterator[Talk]:
    """That many of TCP, in both IP versions and opened by either side."""
    for number in range(first, first + count):
        version = VERSIONS[number % 2]
        ends = (20_000 + number, 443)
        opener = (FROM, TO)[number // 2 % 2]
        yield Talk(port, version, 6, host.ELSEWHERE[version][0], ends, opener)


def say(program: Program, talk: Talk, speaker: Direction, flags: int):
    return program.judge(talk.port, speaker, frame(talk, speaker, talk.segment(speaker, flags)))


def connect(program: Program, talk: Talk) -> list:
    """What is said of a handshake."""
    answerer = other(talk.opener)
    turns = ((talk.opener, SYN), (answerer, SYN | ACK), (talk.opener, ACK))
    return [say(program, talk, speaker, flags) for speaker, flags in turns]


def lives(program: Program, talk: Talk) -> bool:
    """Whether a connection is there: nothing else lets SYN with ACK pass."""
    return say(program, talk, other(talk.opener), SYN | ACK) is None


def test_an_open_connection_goes_only_to_a_port_that_has_fewer() -> None:
    def share(program: Program) -> None:
        first = list(connections(FLOODER, PLACES))
        assert all(connect(program, talk) == [None] * 3 for talk in first)
        second = list(connections(VICTIM, PLACES))
        said = [connect(program, talk)[0] for talk in second]
        assert said == [None] * (PLACES // 2) + [FULL] * (PLACES // 2)
        assert sum(lives(program, talk) for talk in first) == PLACES // 2
        assert [lives(program, talk) for talk in second[: PLACES // 2]] == [True] * (PLACES // 2)

    full(share, buckets=1)


def test_what_is_half_open_goes_before_what_is_open() -> None:
    def flood(program: Program) -> None:
        opened = list(connections(FLOODER, PLACES - 1))
        assert all(connect(program, talk) == [None] * 3 for talk in opened)
        for talk in connections(FLOODER, 100, first=1000):
            assert say(program, talk, talk.opener, SYN) is None
        assert all(lives(program, talk) for talk in opened)

    full(flood, buckets=1)


def half_open(program: Program, port: int, count: int, *, first: int = 0) -> list[Talk]:
    talks = list(connections(port, count, first=first))
    assert all(say(program, talk, talk.opener, SYN) is None for talk in talks)
    return talks


def living(program: Program, talks: list[Talk]) -> int:
    """How many are there; each of them is answered by that."""
    return sum(lives(program, talk) for talk in talks)


@pytest.mark.parametrize("filled", [PLACES // 2, PLACES])
def test_a_port_that_has_its_share_takes_what_it_has_half_open_itself(filled) -> None:
    def share(program: Program) -> None:
        theirs = half_open(program, FLOODER, filled)
        half_open(program, VICTIM, PLACES // 2)
        half_open(program, VICTIM, 100, first=100)
        assert living(program, theirs) == PLACES // 2

    full(share, buckets=1)


@pytest.mark.parametrize("most", [FLOODER, VICTIM])
def test_of_what_is_half_open_goes_that_of_the_port_with_most(most) -> None:
    def newcomer(program: Program) -> None:
        counts = {port: PLACES // 2 + (1 if port == most else -1) for port in (FLOODER, VICTIM)}
        there = {port: half_open(program, port, count) for port, count in counts.items()}
        half_open(program, THIRD, 1)
        left = {port: living(program, talks) for port, talks in there.items()}
        assert left == {port: count - (port == most) for port, count in counts.items()}

    full(newcomer, buckets=1)


def test_one_more_is_no_reason_to_end_an_open_connection() -> None:
    def newcomer(program: Program) -> None:
        there = [*connections(FLOODER, 4), *connections(VICTIM, 3), *connections(THIRD, 1)]
        assert all(connect(program, talk) == [None] * 3 for talk in there)
        (more,) = connections(VICTIM, 1, first=50)
        assert say(program, more, more.opener, SYN) == FULL
        assert living(program, there) == PLACES

    full(newcomer, buckets=1)


def test_what_was_reset_goes_before_what_is_half_open() -> None:
    def newcomer(program: Program) -> None:
        waiting = half_open(program, FLOODER, PLACES - 1)
        (refused,) = half_open(program, FLOODER, 1, first=50)
        assert say(program, refused, other(refused.opener), RST | ACK) is None
        half_open(program, VICTIM, 1)
        assert living(program, waiting) == PLACES - 1

    full(newcomer, buckets=1)


def test_what_is_over_goes_first() -> None:
    def wait(program: Program) -> None:
        for talk in connections(FLOODER, PLACES):
            assert connect(program, talk) == [None] * 3
        program.set_clock(10**9 + 86400 * 10**9)
        for talk in connections(VICTIM, PLACES):
            assert connect(program, talk) == [None] * 3

    full(wait, buckets=1)


@dataclass(frozen=True)
class Flood:
    """Frames of the flooder, all alike but for four octets of the template, which count."""

    way: Direction
    template: bytes
    at: int

    def pour(self, program: Program, count: int) -> int:
        """How many of so many passed."""
        head, tail = self.template[: self.at], self.template[self.at + 4 :]
        ifindex, passed = program.ifindexes[FLOODER], 0
        for start in range(0, count, _BATCH):
            numbers = range(start, min(start + _BATCH, count))
            frames = [head + (_FIRST + n).to_bytes(4, "big") + tail for n in numbers]
            passed += program.driver.test_all(self.way, frames, ifindex).count(None)
        return passed


def syns() -> tuple[Flood, ...]:
    """Of the guest, to other machines."""
    talk = Talk(FLOODER, 4, 6, "100.64.0.0", (9, 443))
    return (Flood(FROM, frame(talk, FROM, talk.segment(FROM, SYN)), _IPV4_DESTINATION),)


def answered() -> tuple[Flood, ...]:
    """Datagrams and, after them, an answer to each."""
    talk = Talk(FLOODER, 4, 17, "100.64.0.0", (9, 9))
    asked, told = (frame(talk, speaker, talk.message(speaker)) for speaker in (FROM, TO))
    return Flood(FROM, asked, _IPV4_DESTINATION), Flood(TO, told, _IPV4_DESTINATION - 4)


def fragments(version: int, way: Direction) -> tuple[Flood, ...]:
    """First ones, of packets that have no more."""
    talk = Talk(FLOODER, version, 17, host.ELSEWHERE[version][0], (9, 9))
    first, _ = build.fragments(*talk.addresses(way), build.udp(9, 9, bytes(16)), size=16)
    data = build.ethernet(*talk.macs(way), first)
    return (Flood(way, data, _IPV4_DESTINATION - 4 * (way is TO) if version == 4 else _IPV6_IDENT),)


def unharmed(program: Program, floods: tuple[Flood, ...], count: int, victims: int) -> None:
    """What the victim has goes on, and it can have more."""
    before = list(connections(VICTIM, victims))
    assert all(connect(program, talk) == [None] * 3 for talk in before)
    for flood in floods:
        assert flood.pour(program, count) > count // 4
    assert all(lives(program, talk) for talk in before)
    more = connections(VICTIM, victims, first=victims)
    assert all(connect(program, talk) == [None] * 3 for talk in more)


@pytest.mark.parametrize(
    "floods",
    [syns(), answered(), *(fragments(*each) for each in product(VERSIONS, Direction))],
    ids=[
        "syns",
        "answered",
        "fragments-4-out",
        "fragments-4-in",
        "fragments-6-out",
        "fragments-6-in",
    ],
)
def test_a_flood_of_one_port_ends_no_other_s_connections(floods) -> None:
    full(lambda program: unharmed(program, floods, 30_000, 32), buckets=1024)


@pytest.mark.timeout(600)
def test_a_million_half_open_connections_of_one_port_end_no_other_s() -> None:
    full(lambda program: unharmed(program, syns(), MILLION, 500), DEFAULT_BUCKETS)
