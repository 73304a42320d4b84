"""The cycle collector is on again when the last has read, however they overlap."""

import gc
from itertools import permutations

import pytest

from vifguard.store.uncollected import uncollected


@pytest.mark.parametrize("order", sorted(set(permutations("aabb"))))
def test_two_that_overlap_leave_it_as_it_was(order: tuple[str, ...]) -> None:
    assert gc.isenabled()
    within = {"a": uncollected(), "b": uncollected()}
    begun: set[str] = set()
    for each in order:
        if each not in begun:
            begun.add(each)
            within[each].__enter__()
            assert not gc.isenabled()
        else:
            within[each].__exit__(None, None, None)
            begun.discard(each)
            assert gc.isenabled() is not bool(begun)
    assert gc.isenabled()


def test_who_had_it_off_has_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
