"""docs/stacks.md: `python -m tests.oracles.stacks.page > docs/stacks.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tests.oracles.stacks.cases import CASES, pairs_of
from tests.oracles.stacks.differences import DIFFERENCES, Kind
from tests.oracles.stacks.script import Situation
from tests.oracles.stacks.segment import Protection
from tests.oracles.stacks.situations import SITUATIONS

_STACKS = {
    "linux": ("Linux", "the kernel that the tests run on, in a namespace; a veth"),
    "lwip": ("lwIP 2.1.3", "Debian 12's `liblwip0`, a program on a tap"),
    "pytcp": ("PyTCP 2.7.6", "from PyPI, in an environment of its own; a program on a tap"),
    "gvisor": ("gVisor of December 2022", "Debian 12's `runsc`, a sandbox on a veth"),
    "debian": ("Linux 6.1", "Debian 12's cloud kernel in QEMU; a tap with virtio's offloads"),
    "ipxe": ("iPXE of January 2019", "Debian 12's `ipxe-qemu`, firmware in QEMU; a tap"),
}
_COUNT = (
    "{} situations give {} cases: each is played by every pair of stacks that can do what it asks, "
    "in each family."
)
_HEAD = """\
# Guests of other TCP/IP stacks

Printed from `tests/oracles/stacks`; `python -m tests.oracles.stacks.page > docs/stacks.md`
prints it anew, and a test compares.

Two guests are put into the situations below three times at once: on a bare bridge, at ports
with the profile `strict`, and at such ports with a stateful security group that lets
connections to services (ports 1 to 9999) and pings in and out, and nothing else. What the
programs in them see (octets, ends, errors), step by step, must be the same on all three, and
no guard may drop a frame of either guest, also where its stack would recover from the loss;
else the difference is listed here, with its reason. The stacks are others' work, so is what
they expect of a network.

`tests/oracles/stacks/situations/` holds each situation as a script: who does what, and what
comes of it. iPXE has a test of its own, `tests/oracles/stacks/test_boot.py`: it leases an
address, fetches its script and three megabytes by HTTP, and meets a closed port, the same at
all three kinds of ports. So have leases, `tests/oracles/stacks/test_leases.py`: udhcpc and
dhclient release and decline their own at dnsmasq, and nobody releases or declines another's,
which a bare bridge allows.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        (
            _HEAD,
            "## Stacks\n",
            _table(("stack", "version", "what"), ((f"`{k}`", *v) for k, v in _STACKS.items())),
            "## Differences\n",
            _table(
                ("situation", "ports", "kind", "reason"),
                (
                    (name, ", ".join(sorted(line.protections)), line.kind, line.reason)
                    for line in sorted(DIFFERENCES, key=lambda line: list(Kind).index(line.kind))
                    for name in line.situations
                ),
            ),
            f"## Situations\n\n{_COUNT.format(len(SITUATIONS), len(CASES))}\n",
            _table(
                ("situation", "why", "stacks", "IPv", *(p for p in Protection if p != "bare")),
                map(_row, SITUATIONS),
            ),
        )
    )


def _row(situation: Situation) -> tuple[str, ...]:
    pairs = ", ".join(f"{a}-{b}" for a, b in pairs_of(situation))
    families = ", ".join(map(str, situation.families))
    return (
        situation.name,
        situation.why,
        pairs,
        families,
        *(_outcome(situation, protection) for protection in Protection if protection != "bare"),
    )


def _outcome(situation: Situation, protection: Protection) -> str:
    lines = [
        line
        for line in DIFFERENCES
        if situation.name in line.situations and protection in line.protections
    ]
    if not lines:
        return "same"
    return "differs" if any(not line.stacks and not line.families for line in lines) else "partly"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head)]
    lines += [tuple("-" * 3 for _ in lines[0]), *map(tuple, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
