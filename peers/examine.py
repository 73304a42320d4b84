"""One peer examined: stood up, audited, taken down."""

from __future__ import annotations

import shutil

from peers.page import Result
from peers.peer import Peer
from vifguard.lab.audit.auditor import audit
from vifguard.lab.world.lab_run import run

_RATE = 2000.0
"""Frames a second: nobody else is on these hosts."""


def examine(peer: Peer) -> Result:
    """The result of a peer: its report, or in one line why it could not be run here."""
    absent = [program for program in peer.programs if shutil.which(program) is None]
    if absent:
        return _not_run(peer, f"{', '.join(absent)} not found")
    try:
        with run() as this, peer.up(this) as site:
            # Its namespaces are ours: a default route in them leads nowhere.
            report = audit(site, lambda _: None, rate=_RATE, default_route=True)
    except Exception as error:  # noqa: BLE001 - one host that fails must not hide the others
        return _not_run(peer, f"{type(error).__name__}: {error}")
    return Result(peer=peer, versions=peer.versions(), report=report)


def _not_run(peer: Peer, reason: str) -> Result:
    return Result(peer=peer, versions=peer.versions(), reason=reason.partition("\n")[0])
