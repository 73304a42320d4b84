"""A machine of its own for a peer: namespaces, private mounts, daemons that end with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vifguard.kernel.net import sysctl
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.netns import LabError

_PATIENCE = 60.0
_TABLES = ("iptables", "ip6tables", "arptables")
_BRIDGE_MAC = "02:76:67:00:00:01"

# Back out of the mount namespace of `ip netns exec`, which hides the control groups, into one
# where only /sys is the new namespace's: container managers need both.
_PRIVATE = """\
mount --rbind /sys/fs/cgroup "$1"
mount -t sysfs sysfs /sys
mount --rbind "$1" /sys/fs/cgroup
umount -l "$1"
shift
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"""


class Host:
    """The namespace in which a peer's daemons run; made by `standing`."""

    def __init__(self, run: Run, key: str, cleanup: ExitStack, *, iptables: bool) -> None:
        self.netns = run.netns(f"{key}-host")
        self.directory = run.directory / key
        self.directory.mkdir(mode=0o700)
        self._cleanup = cleanup
        netns.add(self.netns)
        # The host sends nothing by itself on the segment that is judged.
        netns.within(self.netns, lambda: sysctl.write("default", sysctl.NO_HOST_IPV6))
        netns.within(self.netns, lambda: _call_iptables(wanted=iptables))

    def run(self, *command: str, stdin: str = "") -> str:
        """The output of a command in the host's namespace; LabError where it fails."""
        return netns.run(command, netns=self.netns, stdin=stdin)

    def start(
        self,
        *command: str,
        binds: Mapping[Path, Path] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Daemon:
        """Start a program that stays in the foreground; it is killed when the host goes.

        `binds` are directories that take the place of others, for this program only.
        """
        pairs = [str(path) for pair in (binds or {}).items() for path in pair]
        groups = str(self.folder("groups"))
        private = (
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            _PRIVATE,
            "sh",
            groups,
        )
        log = self.directory / f"{Path(command[0]).name}.log"
        daemon = Daemon(
            self.netns,
            ["nsenter", f"--mount=/proc/{os.getpid()}/ns/mnt", *private, *pairs, "--", *command],
            log,
            environment,
        )
        self._cleanup.callback(daemon.kill)
        return daemon

    def folder(self, name: str) -> Path:
        """A directory of the host's own."""
        path = self.directory / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def bridge(self, device: str, ports: Iterable[str]) -> None:
        """A bridge as the kernel makes it, with these ports; it has a MAC that no port gives."""
        lines = [
            f"link add {device} address 02:76:67:00:00:01 type bridge",
            f"link set {device} up",
        ]
        netns.ip([*lines, *(f"link set {port} master {device}" for port in ports)], self.netns)


def _call_iptables(*, wanted: bool) -> None:
    """Set whether bridged packets of this namespace go through iptables and ip6tables."""
    if wanted and not Path("/proc/sys/net/bridge").is_dir():
        raise LabError("this kernel has no br_netfilter; try: modprobe br_netfilter")
    settings = {f"bridge/bridge-nf-call-{each}": str(int(wanted)) for each in _TABLES}
    sysctl.write("", settings)


@contextmanager
def standing(run: Run, key: str, *, iptables: bool = False) -> Iterator[Host]:
    """A host for as long as it is looked at; the run's sweep takes its namespace.

    With `iptables`, bridged packets go through iptables, ip6tables and arptables
    (br_netfilter), which drop headers cut short whatever their rules.
    """
    with ExitStack() as cleanup:
        yield Host(run, key, cleanup, iptables=iptables)


def await_(what: str, look: Callable[[], bool], *daemons: Daemon) -> None:
    """Wait until `look` is true; LabError when it is not in time, or when a daemon ends."""
    deadline = time.monotonic() + _PATIENCE
    while not look():
        for daemon in daemons:
            daemon.must_run()
        if time.monotonic() > deadline:
            said = "".join(f"\n{daemon.said[-2000:]}" for daemon in daemons)
            raise LabError(f"waited {_PATIENCE:g} s in vain for {what}{said}")
        time.sleep(0.02)
