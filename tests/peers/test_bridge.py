"""The plain bridge as a peer: it stands, carries what its guests say, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from peers.host import await_, standing
from peers.segment import EVERYTHING

from peers import bridge
from vifguard.lab.audit.site import Namespace, VantagePoint
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.lab_run import Run, run
from vifguard.lab.world.netns import LabError

pytestmark = pytest.mark.kernel


def inside(post: VantagePoint) -> str:
    assert isinstance(post.reach, Namespace)
    return post.reach.netns


def is_gone(this: Run) -> bool:
    return not netns.named(this.prefix) and not this.directory.exists()


def test_its_guests_reach_each_other_and_it_leaves_nothing() -> None:
    with run() as this, bridge.PEER.up(this) as site:
        attacker, *others = site.posts
        assert len(others) == 3
        for post in others:
            for address in (post.ip4, post.ip6):
                netns.run(["ping", "-c1", "-W5", str(address)], netns=inside(attacker))
        assert (site.vip4, site.vmac6) == (EVERYTHING.vip4, EVERYTHING.vmac6)
    assert is_gone(this)


def test_a_peer_that_fails_leaves_neither_daemons_nor_namespaces() -> None:
    def fail() -> None:
        with run() as this, standing(this, "x") as host:
            made.append((this, host.start("sleep", "1000")))
            raise LabError("no such thing")

    made: list[tuple[Run, Daemon]] = []
    with pytest.raises(LabError, match="no such thing"):
        fail()
    ((this, daemon),) = made
    assert daemon.ended() is not None
    assert is_gone(this)


def test_a_daemon_sees_its_own_directories_and_nobody_else_does(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with run() as this, standing(this, "x") as host:
        (host.folder("own") / "file").write_text("its own")
        daemon = host.start(
            "cat", str(tmp_path / "there" / "file"), binds={host.folder("own"): tmp_path / "there"}
        )
        await_("its end", lambda: daemon.ended() is not None)
        assert (daemon.ended(), daemon.said) == (0, "its own")
    assert not list((tmp_path / "there").iterdir())


def test_a_daemon_that_ends_too_early_is_told_with_what_it_said() -> None:
    with run() as this, standing(this, "x") as host:
        daemon = host.start("sh", "-c", "echo cannot do it; exit 3")
        with pytest.raises(LabError, match="ended with 3: cannot do it"):
            await_("nothing", lambda: False, daemon)
