"""What is known to differ where ports are guarded, and why; all else is the same.

A line is of a kind: `BY_DESIGN`, what a filter of our kind cannot or shall not pass, or
`FAULT`, which is to be mended and then deleted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tests.oracles.stacks.segment import Protection
from tests.oracles.stacks.testbed import Case


class Kind(StrEnum):
    """What a difference is."""

    BY_DESIGN = "by design"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Difference:
    """Situations that go otherwise at some ports; `families` and `stacks` empty are all.

    Without `always` it depends on the moment, and both are right.
    """

    situations: tuple[str, ...]
    protections: frozenset[Protection]
    kind: Kind
    reason: str
    families: frozenset[int] = frozenset()
    stacks: frozenset[tuple[str, str]] = frozenset()
    always: bool = True

    def concerns(self, case: Case, protection: Protection) -> bool:
        """Whether it is about this case there."""
        return (
            case.situation.name in self.situations
            and protection in self.protections
            and (not self.families or case.version in self.families)
            and (not self.stacks or (case.a, case.b) in self.stacks)
        )


_GROUPS = frozenset({Protection.GROUPS})
_BOTH = frozenset({Protection.STRICT, Protection.GROUPS})

DIFFERENCES = (
    Difference(
        ("a link-local address that is opaque",),
        _BOTH,
        Kind.BY_DESIGN,
        "the port's once the server agrees (scenario `s9` plays it), and here is none",
    ),
    Difference(
        ("a file by TFTP",),
        _GROUPS,
        Kind.BY_DESIGN,
        "no rule lets in the server's other port; Linux's filters read TFTP for that "
        "(nf_conntrack_tftp), ours reads no application's protocol",
    ),
    Difference(
        ("silence for six days, then the server",),
        _GROUPS,
        Kind.BY_DESIGN,
        "an open connection is remembered for five days, as by Linux's filters; then no rule lets "
        "this server speak first, until its client does",
    ),
)


def known(case: Case, protection: Protection) -> Difference | None:
    """The line about a case, or None."""
    return next((each for each in DIFFERENCES if each.concerns(case, protection)), None)
