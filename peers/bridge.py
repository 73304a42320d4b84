"""A plain Linux bridge: the control. The frames that it passes show the power of the attacks."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from peers.host import standing
from peers.peer import Peer
from peers.segment import EVERYTHING, segment
from vifguard.lab.audit.site import Site
from vifguard.lab.world.lab_run import Run


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """A bridge and nothing else."""
    members = segment(run, "bridge")
    with standing(run, "bridge") as host:
        members.plug(host.netns)
        host.bridge("br0", members.taps)
        yield members.site("plain bridge", EVERYTHING)


PEER = Peer(
    key="bridge",
    name="plain bridge",
    versions=lambda: f"Linux {platform.release()}",
    configuration=(
        "a Linux bridge with its defaults, no filter, and no `br_netfilter`: the control, which"
        " must fail"
    ),
    sources=("man 8 ip-link",),
    up=up,
)
