"""All kinds, in the order in which they are tried."""

from __future__ import annotations

from tests.oracles.conntrack import laxer, stricter
from tests.oracles.conntrack.kinds import Kind, moment_of
from tests.oracles.conntrack.trial import Difference

KINDS = (*laxer.KINDS, *stricter.KINDS)


def kind_of(found: Difference) -> Kind | None:
    """Of which kind a difference is; None where it is not listed.

    What program and reference do not agree on is of none.
    """
    if found.program != found.reference:
        return None
    moment = moment_of(found)
    return next((kind for kind in KINDS if kind.is_of(moment)), None)
