"""Every situation that guests are put into."""

from tests.oracles.stacks.situations import (
    datagrams,
    fast_open,
    link,
    loss,
    memory,
    routed,
    sctp,
    tcp,
)

SITUATIONS = tuple(
    situation
    for each in (tcp, fast_open, loss, memory, datagrams, routed, link, sctp)
    for situation in each.SITUATIONS
)
