"""docs/connections.md, printed from the table: `python -m tests.oracles.conntrack.page`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tests.oracles.conntrack.kinds import Kind
from tests.oracles.conntrack.table import KINDS

_PREFACE = """\
# Connections beside Linux's conntrack

Printed from the table in `tests/oracles/conntrack`;
`python -m tests.oracles.conntrack.page > docs/connections.md` prints it anew.

What `groups` remembers of connections ([guards.md](guards.md), "Connections") is compared with
Linux's own connection tracking, `nf_conntrack`, which iptables, nftables, Open vSwitch and so
Neutron's drivers filter by. The same packets, with the same clock steps, go through the eBPF
program, the reference and Linux: random connections of TCP (Fast Open, simultaneous open,
half-close, RST, reuse of ports, window probes, SACK, keep-alive, retransmission, reordering,
window scaling, acknowledgements of what was not sent), UDP, echoes and GRE, ICMP errors about
them, fragments in any order, IPv4 and IPv6, opened from either side.

Linux is the strict stateful filter that its users get: `ct state established,related accept`,
`ct state new` by the same rules as the port's group, `invalid` dropped, every setting of
conntrack the kernel's default (`nf_conntrack_tcp_loose` 1, `tcp_be_liberal` 0, `checksum` 1).

The tests fail for a difference that is not listed here, and for one that is listed and no longer
occurs. A few thousand packets are part of `make test`, hundreds of thousands of
`make test-full`."""

_LIMITS = """\
## What is not compared

- Time in the kernel cannot be stepped. What an entry of conntrack has left to live is shortened
  instead, through netlink. What Linux counts by itself keeps its real time: that a UDP exchange
  is two seconds old (it then lives for 120 s, before that 30 s), and 30 and 60 s for fragments
  that wait for others. Ages are never closer than two seconds to the end of a life.
- The state of a connection after a difference: a case ends with its first one.
- A full table: Linux has one for all, with one size; here each port has its share.
- What is always allowed here (DHCP, neighbour and listener discovery), groups and broadcast, which
  a router does not forward.
- Headers that contradict themselves, which other guards drop, and SCTP and DCCP, of which Linux
  follows the handshake and this project the ports alone."""


def page() -> str:
    """The whole page, in Markdown."""
    explained = [kind for kind in KINDS if not kind.is_fault]
    faults = [kind for kind in KINDS if kind.is_fault]
    sections = [_PREFACE, f"## Where we differ, and why\n\n{_table(explained)}"]
    if faults:
        sections.append(f"## Differences that are faults of ours\n\n{_table(faults)}")
    return "\n\n".join([*sections, _LIMITS]) + "\n"


def _table(kinds: Iterable[Kind]) -> str:
    rows = [
        f"| `{kind.name}` | {kind.what} | {kind.here} | {kind.linux} | {kind.why} |"
        for kind in kinds
    ]
    head = "| kind | what | here | Linux | why |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *rows])


if __name__ == "__main__":
    sys.stdout.write(page())
