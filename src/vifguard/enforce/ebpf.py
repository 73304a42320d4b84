"""The eBPF driver: two programs for all ports, their policies in maps, all of it pinned.

A port's change is one word: a fresh entry is written where nobody reads, then the port's
slot is pointed at it. Killed at any moment, this leaves the old policy or the new one in
force; what it leaves over besides is swept by the next complete look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Self

from vifguard.enforce import state
from vifguard.enforce.book import Book
from vifguard.enforce.driver import (
    ApplyError,
    Attachment,
    BookChange,
    DriverError,
    Dropped,
    PortError,
)
from vifguard.enforce.events import Events
from vifguard.enforce.hooks import FROM_GUEST, TO_GUEST, Attaching, ClsactFilters, Nowhere, Tcx
from vifguard.enforce.pins import Pins
from vifguard.enforce.ports import Ports, isolated
from vifguard.enforce.settings import Settings
from vifguard.enforce.state import NO_HOOKS, Change, Hooks, PortState, Seen, Wanted
from vifguard.kernel import probe, rcu
from vifguard.kernel.bpf import Map, MapSpec, Program, VerifierError
from vifguard.kernel.elf import ObjectFile
from vifguard.model.address import IPAddress
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction

OBJECT = Path(__file__).with_name("guard.bpf.o")
_SHOT = 2
_GROUPS = "by_groups"
"""The program that the two others go on with at ports that have groups."""
_ANSWER = "answer"
_PROGRAMS = {Direction.FROM_GUEST: FROM_GUEST, Direction.TO_GUEST: TO_GUEST}


class EbpfDriver:
    """Holds ports with eBPF programs at tc hooks.

    `EbpfDriver(directory)` finds what an earlier process pinned there and goes on with it;
    DriverError says why it cannot.
    """

    def __init__(self, bpf_dir: Path | None, *, tcx: bool | None = None, buckets: int = 0) -> None:
        """`tcx` chooses how to attach; None tries what the kernel has.

        `buckets`: how many the table of connections has, a power of two; 0 for the usual.
        """
        code = _object()
        self._buckets = buckets
        self._pins = Pins(bpf_dir) if bpf_dir else None
        try:
            self._load(code, tcx=probe.has_tcx() if tcx is None else tcx)
        except VerifierError as error:
            raise DriverError(str(error)) from error
        finally:
            if self._pins and not hasattr(self, "events"):
                self._pins.close()

    @classmethod
    def private(cls, buckets: int = 1024) -> Self:
        """A driver without pins and attachments, gone with the process.

        Its frames come from `test`, and it records every drop.
        """
        return cls(None, buckets=buckets)

    def _load(self, code: ObjectFile, *, tcx: bool) -> None:
        self._attaching: Attaching
        if not self._pins:
            self._maps = {name: self._made(spec) for name, spec in code.maps.items()}
            self._programs = {name: code.load(name, self._maps) for name in code.programs}
            self._attaching = Nowhere()
        else:
            self._maps = self._pins.maps(code)
            self._programs = self._pins.programs(code, self._maps)
            if tcx:
                self._attaching = Tcx(self._pins.links, self._programs)
            else:
                self._attaching = ClsactFilters(self._programs)
        self._maps["continuations"].update(state.word(0), state.word(self._programs[_GROUPS].fd))
        self._ports = Ports(self._maps)
        self._settings = Settings(self._maps)
        self._book = Book(self._maps, self._settings)
        self.events = Events(self._maps)

    def _made(self, spec: MapSpec) -> Map:
        if self._buckets and spec.name == "flows":
            spec = replace(spec, max_entries=self._buckets)
        return Map.create(spec)

    def close(self) -> None:
        """Let go; what is pinned and attached stays in force."""
        self.events.close()
        self._ports.close()
        self._settings.close()
        self._attaching.close()
        handles: list[Map | Program] = [*self._maps.values(), *self._programs.values()]
        for handle in handles:
            handle.close()
        if self._pins:
            self._pins.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def features(self) -> frozenset[str]:
        """How it attaches: `tcx`, `clsact`, or `none` for a private one; and `groups`."""
        return frozenset({"ebpf", self._attaching.name, Guard.GROUPS.value})

    def hold(self, change: BookChange) -> frozenset[str]:
        """Bring what groups and sets say into force; the groups that became holdable or not."""
        return self._book.hold(change)

    def render(self, attachments: Iterable[Attachment]) -> Wanted:
        """The state that holds these policies; what cannot be held is refused and closed."""
        ports: dict[int, PortState] = {}
        refused: dict[int, str] = {}
        for each in attachments:
            hooks = self._attaching.wanted(swapped=each.swapped)
            if each.ifindex in ports:
                refused[each.ifindex] = f"two ports on interface {each.ifindex}"
            else:
                try:
                    ports[each.ifindex] = self._render(each, hooks)
                    continue
                except ValueError as error:
                    refused[each.ifindex] = str(error)
            ports[each.ifindex] = state.closed(each, hooks)
        return Wanted(ports, refused)

    def _render(self, attachment: Attachment, hooks: Hooks) -> PortState:
        if Guard.GROUPS in attachment.policy.guards:
            why = self._book.why_not(attachment.policy.security_groups)
            if why:
                raise ValueError(why)
        return state.render(attachment, hooks, report_all=self._pins is None)

    def observe(self, scope: frozenset[int] | None) -> Seen:
        """Read back what the kernel holds; complete, it also finds what belongs to no port."""
        if scope is None:
            return self._observe_all()
        seen = ((i, self._ports.read(i, self._attaching.seen(i))) for i in scope)
        return Seen({i: port for i, port in seen if port.entry or port.hooks != NO_HOOKS})

    def _observe_all(self) -> Seen:
        ports = {
            ifindex: replace(port, hooks=self._attaching.seen(ifindex))
            for ifindex, port in self._ports.read_all()
        }
        attached = frozenset(self._attaching.ifindexes())
        for ifindex in attached.difference(ports):
            ports[ifindex] = self._ports.read(ifindex, self._attaching.seen(ifindex))
        stale = self._pins.stale() if self._pins else frozenset()
        return Seen(ports, self._ports.litter(attached) | stale)

    def diff(self, wanted: Wanted, seen: Seen) -> Change | None:
        """The ports whose bytes differ, and those that are not wanted."""
        return state.difference(wanted, seen)

    def held(self, wanted: Wanted, seen: Seen) -> Mapping[int, int]:
        """The interfaces whose wanted state was seen, with its revision."""
        return {
            ifindex: port.revision
            for ifindex, port in wanted.ports.items()
            if ifindex not in wanted.refused and seen.ports.get(ifindex) == port
        }

    def apply(self, change: Change) -> None:
        """Write, point, attach, let go, sweep; ApplyError names the ports that failed."""
        failed: list[PortError] = []
        seen = {i: change.hooks.get(i, NO_HOOKS) for i in change.ports}
        attach = [i for i, port in change.ports.items() if port.hooks != seen[i]]
        self._ports.put(change.ports, failed)
        waits = attach or change.removed or change.sweep or self._ports.has_old
        with rcu.expedited() if waits else nullcontext():
            for ifindex in attach:
                with isolated(ifindex, failed):
                    self._attaching.put(ifindex, change.ports[ifindex].hooks, seen[ifindex])
            for ifindex in change.removed:
                with isolated(ifindex, failed):
                    self._attaching.remove(ifindex)
                    self._ports.clear(ifindex)
            if self._ports.allow_less:
                self._ports.allow_less = False
                self._settings.raise_generation()
            if change.sweep:
                self._sweep()
            self._ports.collect()
        if failed:
            raise ApplyError("ports that could not be brought to their wanted state", failed)

    def _sweep(self) -> None:
        self._ports.sweep(frozenset(self._attaching.ifindexes()))
        if self._pins:
            self._pins.sweep()

    def remove_all(self) -> None:
        """Take every guard of this driver off the host, and everything it pinned."""
        with rcu.expedited():
            for ifindex in list(self._attaching.ifindexes()):
                self._attaching.remove(ifindex)
        self.close()
        if self._pins:
            self._pins.remove()

    def sightings(self, ifindex: int) -> dict[IPAddress, int]:
        """When the port last sent from each watched address; CLOCK_MONOTONIC in ns, 0: never."""
        return self._ports.sightings(ifindex)

    def answer(
        self, ifindex: int, direction: Direction, frame: bytes, *, swapped: bool = False
    ) -> None:
        """Send `frame` to the guest of an interface, or as if that guest had sent it.

        It passes through the port's guards like any other, but groups let it by. `swapped` as
        of an attachment. OSError where the interface is gone or does not take it.
        """
        enters = (direction is Direction.FROM_GUEST) != swapped
        said, _ = self._programs[_ANSWER].test_run(frame, ifindex=ifindex, word=enters)
        if said:
            raise OSError(abs(said), f"interface {ifindex} took no answer")

    def refill(self, ifindex: int) -> None:
        """Make the port's storm bucket full."""
        self._maps["buckets"].delete(state.word(ifindex))

    def set_clock(self, now: int) -> None:
        """Let the programs' time for connections be this (ns); 0: the kernel's. For tests."""
        self._settings.set_clock(now)

    def set_generation(self, generation: int) -> None:
        """Let the rules be of this generation, of 32 bits. For tests."""
        self._settings.set_generation(generation)

    def test(self, direction: Direction, frame: bytes, ifindex: int = 1) -> Dropped | None:
        """What the program says of a frame: None passes. For a private driver.

        OSError for a frame that `is_testable` does not hold of.
        """
        return self.test_all(direction, (frame,), ifindex)[0]

    def test_all(
        self, direction: Direction, frames: Sequence[bytes], ifindex: int = 1
    ) -> list[Dropped | None]:
        """What the program says of each of at most 4096 frames.

        The records are read behind the last of them: a record that its reader waits for
        makes the kernel wake him, at three times the cost of a frame.
        """
        self.events.drops()
        run = self._programs[_PROGRAMS[direction]].test_run
        shot = [run(frame, ifindex=ifindex)[0] == _SHOT for frame in frames]
        records = self.events.drops()
        if len(records) != sum(shot):
            raise DriverError(f"{sum(shot)} dropped frames with {len(records)} drop records")
        following = iter(records)
        return [next(following) if each else None for each in shot]

    @staticmethod
    def is_testable(frame: bytes) -> bool:
        """Whether BPF_PROG_TEST_RUN takes the frame: it wants the header of what it is told.

        Interfaces deliver shorter IP packets too: try those on a real one.
        """
        least = {b"\x08\x00": 34, b"\x86\xdd": 54}
        return len(frame) >= least.get(frame[12:14], 14)


def missing(bpf_dir: Path) -> tuple[str, ...]:
    """Each thing this driver needs and this host lacks, with what the kernel answered."""
    needs = {
        "eBPF programs (CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF)": probe.programs(),
        "eBPF ring buffers (Linux 5.8)": probe.ring_buffer(),
        "eBPF arrays that can be mapped (Linux 5.5)": probe.mapped_array(),
        f"a bpffs at {bpf_dir}": probe.pins(bpf_dir),
    }
    if not probe.has_tcx():
        needs["TCX links (Linux 6.6) or clsact (CONFIG_NET_SCH_INGRESS)"] = probe.clsact()
    return tuple(f"{what}: {answer}" for what, answer in needs.items() if answer)


def _object() -> ObjectFile:
    try:
        return ObjectFile(OBJECT.read_bytes())
    except FileNotFoundError:
        raise DriverError(f"{OBJECT} is missing; `make setup` compiles it") from None
