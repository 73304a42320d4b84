"""The table of connections is full: whose go, whose stay, and that nobody is locked out."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import product

import pytest
from tests.enforce.guarded_port import nowhere
from tests.triangle.decider import Decider, private_driver
from tests.triangle.sequences import host
from tests.triangle.sequences.host import FROM, SECOND, TO
from tests.triangle.sequences.program import Program
from tests.triangle.sequences.steps import Held
from tests.triangle.sequences.talk import Talk, frame, other

from vifguard.enforce.ebpf.maps.connection_table import CONNECTIONS_PER_BUCKET, ConnectionMap
from vifguard.model.guard import Guard
from vifguard.model.security_group import Rule, Ruleset
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build
from vifguard.semantics.tcp import ACK, FIN, RST, SYN

pytestmark = pytest.mark.kernel

Full = Callable[..., None]
INDEXES = range(2, 18)
"""Of the interfaces of at most 16 ports."""
FULL = (Guard.SECURITY_GROUPS, Reason.FLOW_TABLE_FULL)
BEGIN = SECOND
HOUR = 3600 * SECOND
FLOODER, VICTIM, THIRD = 0, 1, 2
DEFAULT_BUCKETS = 65536
MILLION = 1_000_000
VERSIONS = (4, 6)
_ANYTHING = frozenset(Rule(way, version) for way in Direction for version in VERSIONS)
_BATCH = 4096
_FIRST = 0x64400000
"""100.64.0.0: other addresses, or identifications, by counting up."""
_IPV4_DESTINATION, _IPV6_IDENT = 30, 58


@pytest.fixture(scope="module")
def full() -> Iterator[Full]:
    """Plays `work` with ports that may open anything, and a table of so many buckets.

    The program for each size is verified once.
    """
    drivers: dict[int, Decider] = {}
    with ExitStack() as ends:
        ends.enter_context(nowhere(*INDEXES))

        def play(work: Callable[[Program], None], buckets: int, ports: int = 4) -> None:
            if buckets not in drivers:
                drivers[buckets] = ends.enter_context(
                    private_driver(buckets * CONNECTIONS_PER_BUCKET)
                )
            with closing(Program(drivers[buckets], INDEXES[:ports])) as program:
                begin(program, ports)
                work(program)

        yield play


def begin(program: Program, ports: int) -> None:
    """An empty table, and ports that may open anything."""
    program.begin(0)
    program.set_clock(BEGIN)
    policies = tuple(
        replace(
            host.base().policies[number % 4],
            port_id=f"11111111-2222-3333-4444-{number:012}",
            security_groups=frozenset({"all"}),
            stateful=True,
        )
        for number in range(ports)
    )
    program.hold(Held(policies, Ruleset({"all": _ANYTHING}, {})))


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


CONNECTED = [None] * 3


def test_a_port_that_has_less_takes_from_who_has_more_until_both_have_the_same(full: Full) -> None:
    def share(program: Program) -> None:
        first = list(connections(FLOODER, CONNECTIONS_PER_BUCKET))
        assert all(connect(program, talk) == CONNECTED for talk in first)
        second = list(connections(VICTIM, 3 * CONNECTIONS_PER_BUCKET))
        assert all(connect(program, talk) == CONNECTED for talk in second)
        assert sum(lives(program, talk) for talk in first) == CONNECTIONS_PER_BUCKET // 2
        assert sum(lives(program, talk) for talk in second) == CONNECTIONS_PER_BUCKET // 2

    full(share, buckets=1)


def test_of_a_port_s_own_the_longest_idle_goes(full: Full) -> None:
    def wait(program: Program) -> None:
        talks = list(connections(VICTIM, CONNECTIONS_PER_BUCKET))
        for number, talk in enumerate(talks):
            program.set_clock(BEGIN + number * SECOND)
            assert connect(program, talk) == CONNECTED
        program.set_clock(BEGIN + 60 * SECOND)
        assert say(program, talks[0], talks[0].opener, ACK) is None
        (more,) = connections(VICTIM, 1, first=50)
        assert connect(program, more) == CONNECTED
        assert [lives(program, talk) for talk in talks] == [True, False] + [True] * (
            CONNECTIONS_PER_BUCKET - 2
        )

    full(wait, buckets=1)


def test_a_ninth_port_finds_room_among_eight_that_have_one_each(full: Full) -> None:
    def newcomer(program: Program) -> None:
        talks = [talk for port in range(CONNECTIONS_PER_BUCKET) for talk in connections(port, 1)]
        for number, talk in enumerate(talks):
            program.set_clock(BEGIN + number * SECOND)
            assert connect(program, talk) == CONNECTED
        for number, later in enumerate((0, 12 * HOUR)):
            program.set_clock(BEGIN + later + 20 * SECOND)
            (more,) = connections(CONNECTIONS_PER_BUCKET, 1, first=number)
            assert connect(program, more) == CONNECTED
        assert [lives(program, talk) for talk in talks] == [False] + [True] * (
            CONNECTIONS_PER_BUCKET - 1
        )

    full(newcomer, buckets=1, ports=CONNECTIONS_PER_BUCKET + 1)


def test_ports_that_filled_the_table_end_no_connection_of_one_that_has_few(full: Full) -> None:
    """Eight guests of one project, with open connections everywhere, and a ninth of another's."""

    def filled(program: Program) -> None:
        def fill(first: int) -> None:
            for talk in (t for port in range(8) for t in connections(port, 60, first=first)):
                connect(program, talk)

        fill(0)
        few = list(connections(8, 4))
        program.set_clock(BEGIN + HOUR)
        assert all(connect(program, talk) == CONNECTED for talk in few)
        program.set_clock(BEGIN + 2 * HOUR)
        fill(1000)
        assert all(lives(program, talk) for talk in few)

    full(filled, buckets=8, ports=9)


def test_a_remote_that_vanished_locks_nobody_out(full: Full) -> None:
    """It opened all that a bucket holds, and the guest closes each."""

    def vanished(program: Program) -> None:
        for talk in connections(VICTIM, CONNECTIONS_PER_BUCKET):
            assert connect(program, talk) == CONNECTED
            assert say(program, talk, FROM, FIN | ACK) is None
        for number, later in enumerate((0, HOUR, 23 * HOUR)):
            program.set_clock(BEGIN + later + SECOND)
            for talk in connections(VICTIM, 4, first=1000 * (number + 1)):
                assert connect(program, talk) == CONNECTED

    full(vanished, buckets=1)


def test_a_port_with_thousands_of_dead_connections_has_room_for_new_ones(full: Full) -> None:
    def dead(program: Program) -> None:
        for talk in connections(VICTIM, 9000):
            assert connect(program, talk) == CONNECTED
            say(program, talk, FROM, FIN | ACK)
        program.set_clock(BEGIN + HOUR)
        assert all(connect(program, t) == CONNECTED for t in connections(VICTIM, 500, first=20_000))

    full(dead, buckets=1024)


def test_what_is_half_open_goes_before_what_is_open(full: Full) -> None:
    def flood(program: Program) -> None:
        opened = list(connections(FLOODER, CONNECTIONS_PER_BUCKET - 1))
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


@pytest.mark.parametrize("filled", [CONNECTIONS_PER_BUCKET // 2, CONNECTIONS_PER_BUCKET])
def test_a_port_that_has_its_share_takes_what_it_has_half_open_itself(full: Full, filled) -> None:
    def share(program: Program) -> None:
        theirs = half_open(program, FLOODER, filled)
        half_open(program, VICTIM, CONNECTIONS_PER_BUCKET // 2)
        half_open(program, VICTIM, 100, first=100)
        assert living(program, theirs) == CONNECTIONS_PER_BUCKET // 2

    full(share, buckets=1)


@pytest.mark.parametrize("most", [FLOODER, VICTIM])
def test_of_what_is_half_open_goes_that_of_the_port_with_most(full: Full, most) -> None:
    def newcomer(program: Program) -> None:
        counts = {
            port: CONNECTIONS_PER_BUCKET // 2 + (1 if port == most else -1)
            for port in (FLOODER, VICTIM)
        }
        there = {port: half_open(program, port, count) for port, count in counts.items()}
        half_open(program, THIRD, 1)
        left = {port: living(program, talks) for port, talks in there.items()}
        assert left == {port: count - (port == most) for port, count in counts.items()}

    full(newcomer, buckets=1)


def test_one_more_is_no_reason_to_end_another_s_open_connection(full: Full) -> None:
    def newcomer(program: Program) -> None:
        there = [*connections(FLOODER, 4), *connections(VICTIM, 3), *connections(THIRD, 1)]
        assert all(connect(program, talk) == CONNECTED for talk in there)
        (more,) = connections(VICTIM, 1, first=50)
        assert connect(program, more) == CONNECTED
        assert living(program, [talk for talk in there if talk.port != VICTIM]) == 5

    full(newcomer, buckets=1)


def test_where_nobody_has_more_the_newcomer_is_dropped(full: Full) -> None:
    """Its port has its share, in the next bucket."""

    def newcomer(program: Program) -> None:
        there = [talk for port in range(16) for talk in connections(port, 1)]
        assert all(connect(program, talk) == CONNECTED for talk in there)
        said = {
            say(program, t, t.opener, SYN) for p in range(16) for t in connections(p, 8, first=9)
        }
        assert said == {None, FULL}

    full(newcomer, buckets=2, ports=16)


def test_what_was_reset_goes_before_what_is_half_open(full: Full) -> None:
    def newcomer(program: Program) -> None:
        waiting = half_open(program, FLOODER, CONNECTIONS_PER_BUCKET - 1)
        (refused,) = half_open(program, FLOODER, 1, first=50)
        assert say(program, refused, other(refused.opener), RST | ACK) is None
        half_open(program, VICTIM, 1)
        assert living(program, waiting) == CONNECTIONS_PER_BUCKET - 1

    full(newcomer, buckets=1)


def test_what_is_over_goes_first(full: Full) -> None:
    def wait(program: Program) -> None:
        for talk in connections(FLOODER, CONNECTIONS_PER_BUCKET):
            assert connect(program, talk) == [None] * 3
        program.set_clock(BEGIN + 120 * HOUR)
        for talk in connections(VICTIM, CONNECTIONS_PER_BUCKET):
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
def test_a_flood_of_one_port_ends_no_other_s_connections(full: Full, floods) -> None:
    full(lambda program: unharmed(program, floods, 30_000, 32), buckets=1024)


@pytest.mark.timeout(600)
def test_a_million_half_open_connections_of_one_port_end_no_other_s(full: Full) -> None:
    full(lambda program: unharmed(program, syns(), MILLION, 500), DEFAULT_BUCKETS)


@pytest.mark.parametrize("buckets", [64, 4096])
def test_how_full_it_is_is_known(full: Full, buckets) -> None:
    """Counted in all of 64 buckets; of 4096 in a quarter, which comes within a tenth."""

    def used(program: Program) -> None:
        now, there = BEGIN, list(connections(VICTIM, buckets * CONNECTIONS_PER_BUCKET // 4))
        with ConnectionMap(program.driver._maps["flows"], lambda: now) as table:
            assert table.capacity == buckets * CONNECTIONS_PER_BUCKET
            assert table.used() == 0
            assert all(connect(program, talk) == CONNECTED for talk in there)
            assert table.used() == pytest.approx(0.25, rel=0.1 if buckets > 1024 else 0.01)
            now += 120 * HOUR
            assert table.used() == 0

    full(used, buckets)
