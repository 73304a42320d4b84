"""What a scenario tells is in words, not in a program's spelling of its values."""

from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Finding


def told(expected: object, seen: object) -> Finding:
    found: list[Finding] = []
    Checks("s4", found.append).check("sessions", expected, seen)
    return found[0]


def test_values_are_told_in_words() -> None:
    both = told((True, True), [True, False])
    assert (both.expected, both.seen) == ("yes, yes", "yes, no")
    assert both.faults == ("yes, no instead of yes, yes",)
    assert (told([], ()).seen, told(0, 0).seen, told("a", "a").ok) == ("none", "0", True)
