"""SCTP (RFC 9260), with one address a side and with two."""

from tests.oracles.stacks.script import Situation

_OPEN = """
    b listen L @b:{0} sctp also @b_second:{0}
    a connect c @b:{0} sctp from @a:{1} also @a_second:{1}
    b accept L s
    a send c 1000
    b recv s 1000 -> 1000
    b send s 1000
    a recv c 1000 -> 1000
"""
_END = """
    a close c
    b drain s -> end
"""

SITUATIONS = (
    Situation(
        "an association",
        "RFC 9260, 5 and 9: four messages to open it, three to end it",
        """
        b listen L @b:1701 sctp
        a connect c @b:1701 sctp
        b accept L s
        a send c 20000 &
        b recv s 20000 -> 20000
        a wait
        b send s 20000 &
        a recv c 20000 -> 20000
        b wait
        """
        + _END,
    ),
    Situation(
        "a closed port of SCTP",
        "RFC 9260, 8.4: an ABORT answers",
        "a connect c @b:1999 sctp -> refused",
        # A kernel without SCTP answers too, and something else.
        stacks=frozenset({("debian", "debian")}),
    ),
    Situation(
        "an association of several addresses",
        "RFC 9260, 5.1.2: each side lists its addresses, heartbeats try the paths between them",
        _OPEN.format(1702, 1703) + _END,
    ),
    Situation(
        "an association whose first path fails",
        "RFC 9260, 5.4 and 8.2: what goes unanswered goes by another address",
        _OPEN.format(1704, 1705)
        + """
        wire stop out @b
        wire stop in @a
        a send c 5000
        b recv s 5000 -> 5000
        b send s 5000
        a recv c 5000 -> 5000
        """
        + _END,
    ),
)
