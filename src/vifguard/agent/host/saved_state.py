"""The state of interfaces and bridges before the agent changed them, to be restored.

Written before the first change, one JSON document a line. The lines hold for one boot of the
machine and one network namespace, as the devices do: those of others are forgotten. A line that
the disk does not take is known all the same, and written with the next one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vifguard.bridging.bridge import port_of_mark
from vifguard.bridging.member_filters import OriginalVlans
from vifguard.feed.codec import CodecError, decode, encode
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.bridge import Bridges, MemberSettings
from vifguard.kernel.net.link import Link

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/thread-self/ns/net")


@dataclass(frozen=True, slots=True)
class SavedInterface:
    """An interface as it was found. `master` 0: of no bridge; `member`: how it was one.

    `hands_off`: nothing but its alias is changed.
    """

    index: int
    master: int
    up: bool
    mtu: int
    mac: str
    alias: str
    sysctls: Mapping[str, str] = field(default_factory=dict)
    member: MemberSettings | None = None
    hands_off: bool = False


@dataclass(frozen=True, slots=True)
class SavedBridge:
    """A bridge of the operator's as it was found. `max_learned` None: the kernel has no limit.

    `members` are the indexes of those that were there, without those that left or had a port
    that was deleted.
    """

    index: int
    vlans: OriginalVlans
    max_learned: int | None
    members: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EndedPort:
    """The port that an interface had, which was deleted."""

    index: int
    port_id: str


@dataclass(frozen=True, slots=True)
class _JournalLine:
    """One line of the file: its boot and namespace, and one device, or what ended.

    `forgotten` are interfaces that are as they were found.
    """

    boot: str
    namespace: int
    interface: SavedInterface | None = None
    bridge: SavedBridge | None = None
    forgotten: tuple[int, ...] = ()
    ended: EndedPort | None = None


class SavedState:
    """The record of one host; without a `path` it is kept in memory alone. One thread's.

    A method that raises OSError has remembered all the same; `is_behind` until the disk has it too.
    """

    def __init__(self, path: Path | None, bridges: Bridges) -> None:
        self._path = path
        self._bridges = bridges
        self._boot = _BOOT.read_text(encoding="ascii").strip()
        self._namespace = _NAMESPACE.stat().st_ino
        self.interfaces: dict[int, SavedInterface] = {}
        self.bridges: dict[int, SavedBridge] = {}
        self.ended: dict[int, str] = {}
        """The deleted port of each interface that had one and has no other since."""
        self.is_behind = False
        if path is not None and path.exists():
            text = path.read_text(encoding="utf-8")
            for line in text.splitlines():
                self._take(line)
            self.is_behind = not text.endswith("\n") and bool(text)

    def note(self, links: Iterable[Link], *, hands_off: bool = False) -> None:
        """Write the state of interfaces, unless it is known already. Raises OSError.

        One that was hands-off was somebody else's until now: its present state counts.
        """
        added = [
            self._interface(link, known, hands_off=hands_off)
            for link in links
            if (known := self.interfaces.get(link.index)) is None or known.hands_off != hands_off
        ]
        for each in added:
            self.interfaces[each.index] = each
            self.ended.pop(each.index, None)
        self._append([self._line(interface=each) for each in added])

    def note_bridge(self, bridge: Link, vlans: OriginalVlans, members: Iterable[int]) -> None:
        """Write the state of a bridge, unless it is known already. Raises OSError."""
        if bridge.index in self.bridges:
            return
        settings = self._bridges.settings(bridge.index)
        most = settings.max_learned if settings else None
        found = SavedBridge(bridge.index, vlans, most, tuple(sorted(members)))
        self.bridges[bridge.index] = found
        self._append([self._line(bridge=found)])

    def note_left(self, bridge: int, members: Iterable[int]) -> None:
        """Strike members that left a bridge from those that were there. Raises OSError."""
        found = self.bridges[bridge]
        here = tuple(i for i in found.members if i not in frozenset(members))
        if here != found.members:
            self.bridges[bridge] = replace(found, members=here)
            self.is_behind = True
            self._rewrite()

    def note_ended(self, index: int, port_id: str) -> None:
        """Note that an interface's port was deleted: it was not there first. Raises OSError."""
        self.ended[index] = port_id
        lines = [self._line(ended=EndedPort(index, port_id))]
        for bridge, found in self.bridges.items():
            if index in found.members:
                here = tuple(i for i in found.members if i != index)
                self.bridges[bridge] = replace(found, members=here)
                lines.append(self._line(bridge=self.bridges[bridge]))
        self._append(lines)

    def forget_interfaces(self, indexes: frozenset[int]) -> None:
        """Forget interfaces that are as they were found. Raises OSError."""
        known = tuple(sorted(self.interfaces.keys() & indexes))
        if known:
            for index in known:
                del self.interfaces[index]
            self._append([self._line(forgotten=known)])

    def keep(self, indexes: Iterable[int]) -> None:
        """Forget devices that are none of these: they are gone, and their number may be used again.

        Also write lines that the disk has not taken yet. Raises OSError.
        """
        here = frozenset(indexes)
        if any(i not in here for kept in (self.interfaces, self.bridges, self.ended) for i in kept):
            self.ended = {i: each for i, each in self.ended.items() if i in here}
            self.interfaces = {i: each for i, each in self.interfaces.items() if i in here}
            self.bridges = {i: each for i, each in self.bridges.items() if i in here}
            self.is_behind = True
        if self.is_behind:
            self._rewrite()

    def forget(self) -> None:
        """Forget everything, once all is restored."""
        self.interfaces, self.bridges, self.ended = {}, {}, {}
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _interface(
        self, link: Link, known: SavedInterface | None, *, hands_off: bool
    ) -> SavedInterface:
        own = "" if port_of_mark(link) else link.alias
        return SavedInterface(
            link.index,
            link.master,
            link.up,
            link.mtu,
            str(link.mac or ""),
            known.alias if known else own,
            sysctl.read(link.name, sysctl.NO_HOST_IPV6),
            self._bridges.member(link.index) if link.master and not hands_off else None,
            hands_off,
        )

    def _line(
        self,
        interface: SavedInterface | None = None,
        bridge: SavedBridge | None = None,
        forgotten: tuple[int, ...] = (),
        ended: EndedPort | None = None,
    ) -> str:
        line = _JournalLine(self._boot, self._namespace, interface, bridge, forgotten, ended)
        return json.dumps(encode(line)) + "\n"

    def _take(self, text: str) -> None:
        # The last line of a full disk may be half a one.
        try:
            line = decode(_JournalLine, json.loads(text))
        except (CodecError, ValueError):
            return
        if (line.boot, line.namespace) != (self._boot, self._namespace):
            return
        if line.interface is not None:
            self.interfaces[line.interface.index] = line.interface
            self.ended.pop(line.interface.index, None)
        if line.bridge is not None:
            self.bridges[line.bridge.index] = line.bridge
        for index in line.forgotten:
            self.interfaces.pop(index, None)
        if line.ended is not None:
            self.ended[line.ended.index] = line.ended.port_id

    def _append(self, lines: list[str]) -> None:
        if self._path is None or not lines:
            return
        if self.is_behind:
            # A full disk took half a line: another behind it would be lost with it.
            self._rewrite()
            return
        self.is_behind = True
        with self._path.open("a", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("".join(lines))
        self.is_behind = False

    def _rewrite(self) -> None:
        if self._path is None:
            self.is_behind = False
            return
        lines = [self._line(interface=each) for each in self.interfaces.values()]
        lines += [self._line(bridge=each) for each in self.bridges.values()]
        lines += [self._line(ended=EndedPort(i, port_id)) for i, port_id in self.ended.items()]
        aside = self._path.with_name(f".{self._path.name}.new")
        aside.write_text("".join(lines), encoding="utf-8")
        aside.chmod(0o600)
        aside.replace(self._path)
        self.is_behind = False
