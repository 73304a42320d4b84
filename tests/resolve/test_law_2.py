"""The profiles are a ladder: each has every guard of the one below it."""

from itertools import pairwise

from vifguard.model.guard import GUARDS_OF, Profile, with_implied


def test_law_2_a_higher_profile_has_every_guard_of_the_lower() -> None:
    for lower, higher in pairwise(Profile):
        assert GUARDS_OF[lower] < GUARDS_OF[higher]


def test_every_profile_is_complete_in_itself() -> None:
    for guards in GUARDS_OF.values():
        assert with_implied(guards) == guards
