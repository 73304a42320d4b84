"""One network on one host, three times: a bare bridge, guarded ports, ports with groups."""

from __future__ import annotations

import socket
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any

from tests.agent.host import Host
from tests.agent.netns import no_ipv6, no_netfilter, run, within
from tests.agent.ports import mac_of, port, tap_of

from vifguard.enforce.ebpf.driver import OBJECT
from vifguard.enforce.ebpf.maps import records
from vifguard.feed.messages import DropRecord
from vifguard.feed.segment import Flat
from vifguard.kernel.bpf.bpf_syscall import Map
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.model.address import parse_prefix
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile
from vifguard.model.policy import Storm
from vifguard.model.port import PortState
from vifguard.model.security_group import IcmpType, PortRange, Rule
from vifguard.model.verdict import Direction

OUTSIDE = 254
"""The number of the router, which stands beyond the uplink."""
Dropped = Counter[tuple[int, Direction, Guard | None]]
_GROUP = "g"
_SERVICES = PortRange(1, 9999)
"""The ports that rules open. Those of clients are above: only connections reach them."""
_UPLINK, _UPLINK_PEER = "up0", "up1"
_NETWORK = {"shared": True, "mtu": 1500, "kind": Flat("physnet1")}


class Protection(StrEnum):
    """What stands between the guests and the network."""

    BARE = "bare"
    STRICT = "strict"
    GROUPS = "groups"


def address4(number: int) -> str:
    """The IPv4 address of a guest."""
    return f"10.9.0.{number}"


def address6(number: int) -> str:
    """The IPv6 address of a guest."""
    return f"fd09::{number:x}"


def second_address4(number: int) -> str:
    """A further IPv4 address of a guest, for protocols that use several."""
    return f"10.9.1.{number}"


def second_address6(number: int) -> str:
    """A further IPv6 address of a guest."""
    return f"fd09:1::{number:x}"


def link_local(number: int) -> str:
    """The link-local address that a guest forms from its MAC (EUI-64)."""
    return str(mac_of(number).link_local)


def rules() -> frozenset[Rule]:
    """Everybody may open connections to services, and ping; nothing else is allowed."""
    return frozenset(
        Rule(direction, version, **what)
        for direction in Direction
        for version, icmp, echo in ((4, 1, 8), (6, 58, 128))
        for what in (
            *({"protocol": protocol, "ports": _SERVICES} for protocol in (6, 17, 132)),
            {"protocol": icmp, "icmp": IcmpType(echo)},
        )
    )


class Segment(ABC):
    """A host's namespace with one network in it, and an uplink whose far end is `up1`."""

    protection: Protection
    netns: str

    @abstractmethod
    def admit(self, number: int) -> None:
        """Let guest `number`, whose device `tap_of(number)` is there, onto the network."""

    def dismiss(self, number: int) -> None:  # noqa: B027 - nothing is remembered of it
        """A guest is gone, and its device."""

    def advance(self, seconds: float) -> None:  # noqa: B027 - a bare bridge keeps no time
        """Let that time pass for the connections that the ports remember."""

    def reset_time(self) -> None:  # noqa: B027
        """Let the time be the kernel's again."""

    def dropped(self) -> Dropped:
        """How many frames each guard has dropped so far, by interface and direction."""
        return Counter()

    def records(self, since: float) -> list[DropRecord]:  # noqa: ARG002
        """What the agent has told of frames dropped since then (seconds since the epoch)."""
        return []

    def index(self, number: int) -> int:
        """The interface index of a guest's device."""
        return within(self.netns, lambda: socket.if_nametoindex(tap_of(number)))

    @abstractmethod
    def close(self) -> None:
        """Remove everything."""

    def await_silence(self, seconds: float = 0.5) -> None:
        """Wait until no frame has come in from any guest for so long."""
        before, since = self._received(), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.02)
            if (now := self._received()) != before:
                before, since = now, time.monotonic()

    def _received(self) -> dict[str, int]:
        """Frames from each device of this namespace so far."""
        rows = within(self.netns, lambda: Path("/proc/thread-self/net/dev").read_text())
        found = (row.split(":") for row in rows.splitlines()[2:])
        return {name.strip(): int(rest.split()[1]) for name, rest in found}

    def ip(self, *command: str, check: bool = True) -> None:
        """Run `ip` on the host."""
        run("ip", "-n", self.netns, *command, check=check)

    def _add_uplink(self) -> None:
        self.ip("link", "add", _UPLINK, "type", "veth", "peer", "name", _UPLINK_PEER)
        self.ip("link", "set", _UPLINK, "up")


class Bare(Segment):
    """A bridge of Linux, as the agent makes it; nothing is guarded."""

    protection = Protection.BARE

    def __init__(self, name: str) -> None:
        self.netns = name
        run("ip", "netns", "add", name)
        within(name, no_netfilter)
        within(name, no_ipv6)
        self._add_uplink()
        # As the agent's: a bridge that believes a querier keeps ND from stacks that answer none.
        kind = ("type", "bridge", "mcast_snooping", "0")
        self.ip("link", "add", "br0", "address", "02:76:67:00:00:01", *kind)
        self.ip("link", "set", "br0", "up")
        self.ip("link", "set", _UPLINK, "master", "br0")

    def admit(self, number: int) -> None:
        self.ip("link", "set", tap_of(number), "master", "br0", "up")

    def close(self) -> None:
        run("ip", "netns", "del", self.netns, check=False)


class Guarded(Segment):
    """Ports of a host with an agent: `strict`, and with stateful security groups or none."""

    def __init__(self, protection: Protection) -> None:
        self.protection = protection
        self._admitting = Lock()
        self._host = Host({"physnet1": _UPLINK})
        self.netns = self._host.name
        self._add_uplink()
        self._host.start()
        self._host.until_reported(lambda _: True)
        self._pinned = Pinned(self._host.bpf_dir)

    def admit(self, number: int) -> None:
        guards, groups = GUARDS_OF[Profile.STRICT], frozenset[str]()
        if self.protection is Protection.GROUPS:
            guards, groups = guards | {Guard.SECURITY_GROUPS}, frozenset({_GROUP})
        addresses = tuple(
            of(number) for of in (address4, address6, second_address4, second_address6)
        )
        policy: dict[str, Any] = {
            "guards": guards,
            "prefixes": frozenset(map(parse_prefix, addresses)),
            "link_local": LinkLocal.EUI64,
            "storm": Storm(10**6, 10**6),
            "security_groups": groups,
        }
        # The host's revisions are counted one after the other.
        with self._admitting:
            self._host.set(port(number, segment=_NETWORK, **policy))
            if groups:
                self._host.say({_GROUP: rules()})
        self._host.until(number, PortState.ENFORCED, interface=tap_of(number))

    def dismiss(self, number: int) -> None:
        with self._admitting:
            self._host.remove(number)

    def advance(self, seconds: float) -> None:
        self._pinned.advance(seconds)

    def reset_time(self) -> None:
        self._pinned.reset_time()

    def dropped(self) -> Dropped:
        return self._pinned.dropped()

    def records(self, since: float) -> list[DropRecord]:
        return [each for report in self._host.reports for each in report.drops if each.at >= since]

    def close(self) -> None:
        self._pinned.close()
        self._host.close()


class Pinned:
    """Maps that the agent's programs have pinned: the connections' time, and what was dropped.

    The time is `struct setting.clock`, the first eight octets.
    """

    def __init__(self, directory: Path) -> None:
        specs = ObjectFile(OBJECT.read_bytes()).maps
        self._maps = [
            Map.open(next(directory.rglob(name)), specs[name]) for name in ("settings", "counters")
        ]
        self._time, self._counters = self._maps[0].memory(), self._maps[1]
        self._added = 0.0

    def advance(self, seconds: float) -> None:
        """Add so much to the kernel's time, and let it stand there until the next call."""
        self._added += seconds
        self._set_time(int((time.monotonic() + self._added) * 1e9))

    def reset_time(self) -> None:
        """Let the time be the kernel's again."""
        self._added = 0.0
        self._set_time(0)

    def dropped(self) -> Dropped:
        """How many frames each guard has dropped so far, by interface and direction."""
        return Counter(
            {
                (each.device, each.direction, each.guard): each.frames
                for key, value in self._counters.contents()
                for each in records.counted(int.from_bytes(key, "little"), value)
            }
        )

    def close(self) -> None:
        """Let go of the maps."""
        self.reset_time()
        self._time.close()
        for each in self._maps:
            each.close()

    def _set_time(self, now: int) -> None:
        self._time[:8] = now.to_bytes(8, sys.byteorder)


MAKERS: dict[Protection, Callable[[str], Segment]] = {
    Protection.BARE: Bare,
    Protection.STRICT: lambda _: Guarded(Protection.STRICT),
    Protection.GROUPS: lambda _: Guarded(Protection.GROUPS),
}
