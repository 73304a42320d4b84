"""`python -m peers [bridge libvirt ...]`: audit other makers' hosts, write docs/conformance.md.

Each host is removed before the next one is made, also when it fails or the run is ended by a
signal; `vifguard lab down` removes the remains of a killed run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from peers import bridge, libvirt, lxd, neutron, ours, ovn
from peers.examine import examine
from peers.page import Result, page
from peers.peer import Peer
from vifguard.lab.audit.report import Report
from vifguard.lab.result.runner import ending_tidily

PEERS = {module.PEER.key: module.PEER for module in (bridge, libvirt, lxd, ovn, neutron, ours)}
_PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"
_console = Console(width=100, highlight=False)


def main() -> int:
    """Audit the peers asked for; 1 when vifguard itself does not conform.

    The page is written when all were asked for, or to the file of `--page`.
    """
    parser = argparse.ArgumentParser(prog="peers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peers", nargs="*", choices=[*PEERS, []], default=[])
    parser.add_argument("--page", type=Path, help="write the page there")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("the peers need namespaces and daemons of their own; run them as root")
    with ending_tidily():
        results = [_told(PEERS[key]) for key in asked.peers or PEERS]
    target = asked.page or (None if asked.peers else _PAGE)
    if target:
        target.write_text(page(results, _machine()))
        _console.print(str(target))
    return int(not all(_holds(result) for result in results if result.peer is ours.PEER))


def _told(peer: Peer) -> Result:
    """Audit a peer, and print its result as soon as it is known."""
    _console.print(f"{peer.name} ...")
    result = examine(peer)
    if result.report is None:
        _console.print(f"not run: {result.reason}", markup=False)
    else:
        _show(result.report)
    return result


def _show(report: Report) -> None:
    table = Table("guard", "held", "failed", "not testable")
    for name, tally in report.figures:
        table.add_row(name, *map(str, (tally.passed, tally.failed, tally.untestable)))
    _console.print(table, f"{report.sent} frames in {report.seconds:.0f} s")


def _holds(result: Result) -> bool:
    return result.report is not None and result.report.conformant


def _machine() -> str:
    today = datetime.now(UTC).date()
    return f"{today}, {platform.system()} {platform.release()}, {os.cpu_count()} processors"


if __name__ == "__main__":
    sys.exit(main())
