"""Each address of a network is the most specific owner's: against every address, one by one."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from random import Random

import pytest

from vifguard.resolve.wide_pair_pieces import Prefix, TooManyPiecesError, divide

BITS = 4
EVERY = [
    Prefix(first, length) for length in range(BITS + 1) for first in range(0, 16, 16 >> length)
]


def owner(owned: Iterable[Prefix], address: int) -> Prefix | None:
    """The narrowest prefix that holds an address."""
    holding = [each for each in owned if each.holds(Prefix(address, BITS), BITS)]
    return max(holding, key=lambda each: each.length, default=None)


def assert_divided(owned: Iterable[Prefix], pieces: Mapping[Prefix, Prefix]) -> None:
    for address in range(16):
        of = [pair for piece, pair in pieces.items() if piece.holds(Prefix(address, BITS), BITS)]
        wanted = owner(owned, address)
        assert of == ([] if wanted is None or wanted.length == BITS else [wanted])
    for piece, pair in pieces.items():
        # Each is as wide as it can be: with its other half it would not be the pair's alone.
        beside = Prefix(piece.first ^ (1 << BITS - piece.length), piece.length)
        assert piece == pair or pieces.get(beside) != pair


@pytest.mark.parametrize("many", range(4))
def test_of_every_few_owners_each_has_what_no_narrower_one_has(many: int) -> None:
    for owned in combinations(EVERY, many):
        assert_divided(owned, divide(sorted(owned), BITS))


def test_of_many_owners_each_has_what_no_narrower_one_has() -> None:
    random = Random(1)
    for _ in range(2000):
        owned = random.choices(EVERY, k=random.randint(4, 20))
        assert_divided(owned, divide(sorted(owned), BITS))


def test_within_a_region_it_is_as_in_the_whole() -> None:
    random = Random(2)
    for _ in range(2000):
        owned = random.choices(EVERY, k=random.randint(1, 12))
        region = random.choice(EVERY)
        whole = divide(sorted(owned), BITS)
        if any(piece.holds(region, BITS) and piece != region for piece in whole):
            continue
        encloses = [e for e in owned if e.length < region.length and e.holds(region, BITS)]
        around = max(encloses, key=lambda each: each.length, default=None)
        inner = [each for each in owned if region.holds(each, BITS)]
        found = divide(sorted(inner), BITS, around, region)
        assert found == {p: pair for p, pair in whole.items() if region.holds(p, BITS)}


@pytest.mark.parametrize("bits", [32, 128])
def test_pieces_grow_with_the_owners_however_they_are_nested(bits: int) -> None:
    """Each pair within a pair broke all that were around it once more."""
    nested = [Prefix(0, length) for length in range(bits)]
    assert len(divide(nested, bits)) == bits
    scattered = [Prefix(977 * n << bits // 4, bits) for n in range(1, 1000)]
    most = bits * (len(scattered) + 1)
    assert len(divide(sorted([*nested, *scattered]), bits, most=most)) <= most


def test_no_more_is_read_and_made_than_shows_that_there_are_too_many() -> None:
    read = []

    def owned() -> Iterator[Prefix]:
        for each in [Prefix(0, 0), *(Prefix(977 * n << 32, 128) for n in range(1, 4000))]:
            read.append(each)
            yield each

    with pytest.raises(TooManyPiecesError):
        divide(owned(), 128, most=1024)
    assert len(read) < 100
    whole = [Prefix(n << 8, 24) for n in range(2000)]
    assert len(divide(whole, 32, most=0)) == 2000
