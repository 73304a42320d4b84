"""Real keepalived inside guests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.world import Guest, World

# With a real-time priority: on a busy machine a holder that is late is no holder.
_GLOBAL = """
global_defs {{
    vrrp_version {version}
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
    vrrp_rt_priority 20
    vrrp_rlimit_rttime 1000000
}}
"""
_INSTANCE = """
vrrp_instance {name} {{
    state BACKUP
    interface eth0
    virtual_router_id {vrid}
    priority {priority}
    advert_int {interval}
    {more}
    virtual_ipaddress {{
        {addresses}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """A virtual router: its addresses with their prefix lengths, and lines of its own."""

    name: str
    vrid: int
    addresses: tuple[str, ...]
    more: tuple[str, ...] = ()


def keepalived(
    world: World,
    guest: Guest,
    priority: int,
    instances: Iterable[Instance],
    *,
    version: int = 3,
    run: str = "",
) -> Daemon:
    """Keepalived of a guest; `run` distinguishes one start from the next."""
    directory = world.run.directory / f"keepalived-{guest.name}{run}"
    directory.mkdir()
    path = directory / "keepalived.conf"
    path.write_text(
        _GLOBAL.format(version=version)
        + "".join(
            _INSTANCE.format(
                name=each.name,
                vrid=each.vrid,
                priority=priority,
                interval=0.5 if version == 3 else 1,
                more="\n    ".join(each.more),
                addresses="\n        ".join(each.addresses),
            )
            for each in instances
        )
    )
    return Daemon(guest.netns, _command(path, directory), directory / "log")


def waits(daemon: Daemon) -> int:
    """The number of virtual routers that it has and does not hold."""
    return resigned(daemon) - daemon.said.count("Entering MASTER STATE")


def resigned(daemon: Daemon) -> int:
    """The number of times that it gave a virtual router up, or began as no holder."""
    return daemon.said.count("Entering BACKUP STATE")


def _command(path: Path, directory: Path) -> tuple[str, ...]:
    return (
        "keepalived", "--vrrp", "--dont-fork", "--log-console", "--use-file", str(path),
        "--pid", str(directory / "pid"), "--vrrp_pid", str(directory / "vrrp.pid"),
    )  # fmt: skip
