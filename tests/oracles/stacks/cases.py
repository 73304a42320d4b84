"""Which stacks are put into which situations, and which of it is played in every run."""

from __future__ import annotations

from tests.oracles.stacks.script import Situation
from tests.oracles.stacks.situations import SITUATIONS
from tests.oracles.stacks.testbed import STACKS, Case

Pair = tuple[str, str]
LINUX: Pair = ("linux", "linux")
PAIRS: tuple[Pair, ...] = (
    LINUX,
    ("linux", "lwip"),
    ("lwip", "linux"),
    ("linux", "pytcp"),
    ("pytcp", "linux"),
    ("lwip", "pytcp"),
    ("pytcp", "lwip"),
    ("linux", "gvisor"),
    ("gvisor", "linux"),
    ("gvisor", "lwip"),
    ("lwip", "gvisor"),
    ("linux", "debian"),
    ("debian", "linux"),
    ("debian", "debian"),
)
"""Who plays `a` and who `b`."""

_ESSENTIAL = frozenset(
    {
        "a stream each way",
        "the server speaks first",
        "a closed port",
        "half-close by the client",
        "an abort",
        "a datagram and its answer",
        "large datagrams",
    }
)
"""What each pair with Linux plays in every run, unless it takes a virtual machine to boot."""

_SOUND_IN_PYTCP = _ESSENTIAL | {
    "a closed port that opens",
    "an abort of a full pipe",
    "a lost SYN",
    "a lost SYN-ACK",
    "silence for twenty hours",
    "silence for six days, then the client",
    "an answer after twenty seconds",
    "fragments in their order",
}
"""PyTCP 2.7.6 loses data when segments are lost, and no bridge makes that the same twice."""


def pairs_of(situation: Situation) -> tuple[Pair, ...]:
    """The pairs of stacks that can do what a situation asks of them."""
    asked = situation.asked("a"), situation.asked("b")
    return tuple(
        pair
        for pair in PAIRS
        if (not situation.stacks or pair in situation.stacks)
        and ("pytcp" not in pair or situation.name in _SOUND_IN_PYTCP)
        and all(ops <= STACKS[stack].operations for ops, stack in zip(asked, pair, strict=True))
    )


def is_long(case: Case) -> bool:
    """Whether it is left to `make test-full`."""
    pair = (case.a, case.b)
    essential = "linux" in pair and case.situation.name in _ESSENTIAL
    # Debian's kernel boots for a minute. PyTCP is busy where it waits, and loses what it sends
    # before it has resolved its receiver, as it happens on a bare bridge too.
    apart = "debian" in pair or "pytcp" in pair
    return case.situation.slow or apart or not (pair == LINUX or essential)


CASES = tuple(
    Case(situation, *pair, version)
    for pair in PAIRS
    for situation in SITUATIONS
    if pair in pairs_of(situation)
    for version in situation.families
)
