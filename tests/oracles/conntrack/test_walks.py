"""Random connections: the program, the reference and Linux say the same, or differ as listed."""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from random import Random

import pytest
from tests.oracles.conntrack.datagrams import datagram_case
from tests.oracles.conntrack.table import kind_of
from tests.oracles.conntrack.trial import BUCKETS, Difference, Trial, shortest
from tests.oracles.conntrack.walk import tcp_case
from tests.triangle.decider import private_driver
from tests.triangle.kernel import LOOPBACK
from tests.triangle.sequences.program import Program

pytestmark = pytest.mark.kernel

THOROUGH = int(os.environ.get("VIFGUARD_THOROUGH", "1"))
PACKETS = 2000 * THOROUGH
LONG = 150_000
"""Packets of each sort, and of each again in `make test-full`."""
_CASES = {"tcp": tcp_case, "datagrams": datagram_case}
SORTS = tuple(_CASES)


@pytest.mark.parametrize("seed", [1, None], ids=["seeded", "fresh"])
@pytest.mark.parametrize("sort", SORTS)
def test_they_agree_or_differ_as_listed(sort: str, seed: int | None) -> None:
    _walk(sort, secrets.randbits(32) if seed is None else seed, PACKETS)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sort", SORTS)
def test_they_agree_or_differ_as_listed_for_long(sort: str) -> None:
    _walk(sort, secrets.randbits(32), LONG)


def _walk(sort: str, seed: int, packets: int) -> None:
    """So many packets of cases that the seed names; fails with few steps that divide them."""
    random, listed = Random(seed), Counter[str]()
    with private_driver(BUCKETS) as driver:
        trial = Trial(Program(driver, (LOOPBACK,)))
        try:
            while trial.packets < packets:
                found = trial.difference(_CASES[sort](random))
                if found is None:
                    continue
                kind = kind_of(found)
                if kind is None:
                    pytest.fail(f"seed {seed}, not listed:\n{_short(found, trial)}")
                listed[kind.name] += 1
        finally:
            trial.close()
    told = f"{sort}, seed {seed}: {trial.packets} packets, listed differences {dict(listed)}\n"
    sys.stdout.write(told)


def _short(found: Difference, trial: Trial) -> Difference:
    verdicts = found.program, found.reference, found.linux

    def is_same(other: Difference) -> bool:
        same = (other.program, other.reference, other.linux) == verdicts
        return same and kind_of(other) is None

    return shortest(found, trial, is_same)
