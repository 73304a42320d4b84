"""The eBPF driver: two programs for all ports, their policies in maps, all of it pinned.

A port's change is one word: a fresh entry is written where nobody reads, then the port's
slot is pointed at it. Killed at any moment, this leaves the old policy or the new one in
force; what it leaves over besides is swept by the next complete look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vifguard.enforce import state
from vifguard.enforce.driver import ApplyError, Attachment, DriverError, Dropped, PortError
from vifguard.enforce.events import Events
from vifguard.enforce.hooks import (
    FROM_GUEST,
    NONE,
    TO_GUEST,
    Attaching,
    ClsactFilters,
    Nowhere,
    Tcx,
)
from vifguard.enforce.pins import Pins
from vifguard.enforce.records import unpack_address
from vifguard.enforce.sides import Sides
from vifguard.enforce.state import Change, PortState, Prefixes, Seen, Wanted
from vifguard.enforce.table import Table
from vifguard.kernel import probe, rcu
from vifguard.kernel.bpf import Map, Program, VerifierError
from vifguard.kernel.elf import ObjectFile
from vifguard.model.address import IPAddress
from vifguard.model.verdict import Direction

OBJECT = Path(__file__).with_name("guard.bpf.o")
_SHOT = 2
_KEYED_BY_IFINDEX = ("counters", "buckets")
_PROGRAMS = {Direction.FROM_GUEST: FROM_GUEST, Direction.TO_GUEST: TO_GUEST}


@dataclass(frozen=True, slots=True)
class _Garbage:
    """What is out of use once the slots point elsewhere."""

    policies: set[int]
    publics: set[int]

    def __bool__(self) -> bool:
        return bool(self.policies or self.publics)


class EbpfDriver:
    """Holds ports with eBPF programs at tc hooks.

    `EbpfDriver(directory)` finds what an earlier process pinned there and goes on with it;
    DriverError says why it cannot.
    """

    def __init__(self, bpf_dir: Path | None, *, tcx: bool | None = None) -> None:
        """`tcx` chooses how to attach; None tries what the kernel has."""
        code = _object()
        self._pins = Pins(bpf_dir) if bpf_dir else None
        try:
            self._load(code, tcx=probe.has_tcx() if tcx is None else tcx)
        except VerifierError as error:
            raise DriverError(str(error)) from error
        finally:
            if self._pins and not hasattr(self, "events"):
                self._pins.close()

    @classmethod
    def private(cls) -> Self:
        """A driver without pins and attachments, gone with the process.

        Its frames come from `test`, and it records every drop.
        """
        return cls(None)

    def _load(self, code: ObjectFile, *, tcx: bool) -> None:
        self._attaching: Attaching
        if not self._pins:
            self._maps = {name: Map.create(spec) for name, spec in code.maps.items()}
            self._programs = {name: code.load(name, self._maps) for name in code.programs}
            self._attaching = Nowhere()
        else:
            self._maps = self._pins.maps(code)
            self._programs = self._pins.programs(code, self._maps)
            if tcx:
                self._attaching = Tcx(self._pins.links, self._programs)
            else:
                self._attaching = ClsactFilters(self._programs)
        self._table = Table(self._maps)
        self._sides = Sides(self._maps)
        self._public_users = Counter(state.keys_of(entry)[1] for _, entry in self._table)
        self.events = Events(self._maps)

    def close(self) -> None:
        """Let go; what is pinned and attached stays in force."""
        self.events.close()
        self._table.close()
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
        """How it attaches: `tcx`, `clsact`, or `none` for a private one."""
        return frozenset({"ebpf", self._attaching.name})

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
                    ports[each.ifindex] = state.render(each, hooks, report_all=self._pins is None)
                    continue
                except ValueError as error:
                    refused[each.ifindex] = str(error)
            ports[each.ifindex] = state.closed(each, hooks)
        return Wanted(ports, refused)

    def observe(self, scope: frozenset[int] | None) -> Seen:
        """Read back what the kernel holds; complete, it also finds what belongs to no port."""
        publics: dict[int, Prefixes] = {}
        if scope is not None:
            entries = ((ifindex, self._table.read(ifindex)) for ifindex in scope)
            seen = ((i, self._port(i, entry, publics)) for i, entry in entries)
            return Seen({i: port for i, port in seen if port})
        self._sides.scan()
        ports = {i: self._port(i, entry, publics) for i, entry in self._table}
        for ifindex in self._attaching.ifindexes():
            if ifindex not in ports:
                ports[ifindex] = self._port(ifindex, None, publics)
        return Seen({i: port for i, port in ports.items() if port}, self._litter())

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
        seen = {i: change.hooks.get(i, NONE) for i in change.ports}
        attach = [i for i, port in change.ports.items() if port.hooks != seen[i]]
        garbage = _Garbage(set(), set())
        self._point(change.ports, garbage, failed)
        hurry = attach or change.removed or change.sweep or garbage
        with rcu.expedited() if hurry else nullcontext():
            for ifindex in attach:
                with _isolated(ifindex, failed):
                    self._attaching.put(ifindex, change.ports[ifindex].hooks, seen[ifindex])
            for ifindex in change.removed:
                with _isolated(ifindex, failed):
                    self._let_go(ifindex, garbage)
            if change.sweep:
                self._sweep(garbage)
            self._collect(garbage)
        if failed:
            raise ApplyError("ports that could not be brought to their wanted state", failed)

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
        entry = self._table.read(ifindex)
        policy, _ = state.keys_of(entry) if entry else (0, 0)
        watched = self._sides.watched(policy)
        return {unpack_address(address): self._sides.seen(policy, address) for address in watched}

    def refill(self, ifindex: int) -> None:
        """Make the port's storm bucket full."""
        self._maps["buckets"].delete(state.word(ifindex))

    def test(self, direction: Direction, frame: bytes, ifindex: int = 1) -> Dropped | None:
        """What the program says of a frame: None passes. For a private driver.

        OSError for a frame that `is_testable` does not hold of.
        """
        self.events.drops()
        action, _ = self._programs[_PROGRAMS[direction]].test_run(frame, ifindex=ifindex)
        records = self.events.drops()
        if (action == _SHOT) != bool(records):
            raise DriverError(f"action {action} with {len(records)} drop records")
        return records[-1] if records else None

    @staticmethod
    def is_testable(frame: bytes) -> bool:
        """Whether BPF_PROG_TEST_RUN takes the frame: it wants the header of what it is told.

        Interfaces deliver shorter IP packets too: try those on a real one.
        """
        least = {b"\x08\x00": 34, b"\x86\xdd": 54}
        return len(frame) >= least.get(frame[12:14], 14)

    def _port(
        self, ifindex: int, entry: bytes | None, publics: dict[int, Prefixes]
    ) -> PortState | None:
        hooks = self._attaching.seen(ifindex)
        if entry is None:
            empty = PortState(b"", state.NO_EXTRAS, frozenset(), hooks)
            return None if hooks == NONE else empty
        policy, public = state.keys_of(entry)
        if public not in publics:
            publics[public] = self._sides.public_now(public)
        extras = self._sides.extras(policy)
        return PortState(state.with_keys(entry, 0, 0), extras, publics[public], hooks)

    def _point(
        self, ports: Mapping[int, PortState], garbage: _Garbage, failed: list[PortError]
    ) -> None:
        """Write all entries, then point each port's slot at its own."""
        written: list[tuple[int, int]] = []
        for ifindex, port in ports.items():
            with _isolated(ifindex, failed):
                number = self._write(ifindex, port)
                if number:
                    written.append((ifindex, number))
        rcu.publish()
        for ifindex, number in written:
            with _isolated(ifindex, failed):
                self._replace(ifindex, number, garbage)

    def _write(self, ifindex: int, port: PortState) -> int:
        """A fresh entry for the port; 0 where the present one is right."""
        old = self._table.read(ifindex)
        before, public = state.keys_of(old) if old else (0, 0)
        if self._sides.publics.get(public, frozenset()) != port.public:
            public = self._sides.public(port.public)
        kept = bool(before) and self._sides.extras(before) == port.extras
        policy = before if kept else self._sides.write(port.extras, before)
        entry = state.with_keys(port.entry, policy, public)
        if entry == old:
            return 0
        try:
            return self._table.write(entry)
        except OSError:
            if not kept:
                self._sides.delete(policy)
            raise

    def _replace(self, ifindex: int, number: int, garbage: _Garbage) -> None:
        old = self._table.read(ifindex)
        self._table.point(ifindex, number)
        new = self._table.read(ifindex)
        self._count(old, new, garbage)

    def _count(self, old: bytes | None, new: bytes | None, garbage: _Garbage) -> None:
        """Note what the old entry was the last to use."""
        before, after = (state.keys_of(entry) if entry else (0, 0) for entry in (old, new))
        if before[0] and before[0] != after[0]:
            garbage.policies.add(before[0])
        self._public_users[after[1]] += 1
        self._public_users[before[1]] -= 1
        if before[1] and not self._public_users[before[1]]:
            garbage.publics.add(before[1])

    def _let_go(self, ifindex: int, garbage: _Garbage) -> None:
        self._attaching.remove(ifindex)
        old = self._table.read(ifindex)
        self._table.clear(ifindex)
        self._count(old, None, garbage)
        for name in _KEYED_BY_IFINDEX:
            self._maps[name].delete(state.word(ifindex))

    def _unused(self) -> _Garbage:
        keys = [state.keys_of(entry) for _, entry in self._table]
        return _Garbage(
            set(self._sides.policies) - {policy for policy, _ in keys},
            set(self._sides.publics) - {public for _, public in keys},
        )

    def _litter(self) -> frozenset[str]:
        unused = self._unused()
        found = {f"policy {policy}" for policy in unused.policies}
        found |= {f"public set {public}" for public in unused.publics}
        found |= {f"{name} of interface {i}" for name, i in self._unkept()}
        return frozenset(found | (self._pins.stale() if self._pins else frozenset()))

    def _unkept(self) -> Iterator[tuple[str, int]]:
        """Counters and buckets of interfaces that have no port."""
        ports = {ifindex for ifindex, _ in self._table} | set(self._attaching.ifindexes())
        for name in _KEYED_BY_IFINDEX:
            for key, _ in self._maps[name].contents():
                ifindex = int.from_bytes(key, "little")
                if ifindex not in ports:
                    yield name, ifindex

    def _sweep(self, garbage: _Garbage) -> None:
        unused = self._unused()
        garbage.policies.update(unused.policies)
        garbage.publics.update(unused.publics)
        for name, ifindex in list(self._unkept()):
            self._maps[name].delete(state.word(ifindex))
        if self._pins:
            self._pins.sweep()

    def _collect(self, garbage: _Garbage) -> None:
        if not garbage:
            return
        # A program may still be reading an old entry and look up what it leads to: a public
        # set that ends under its eyes would let a forged source pass.
        rcu.grace_period()
        for policy in garbage.policies:
            self._sides.delete(policy)
        for public in garbage.publics:
            self._sides.delete_public(public)


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


@contextmanager
def _isolated(ifindex: int, failed: list[PortError]) -> Iterator[None]:
    """One port's failure is noted, and the next port's turn comes."""
    try:
        yield
    except OSError as error:
        failed.append(PortError(ifindex, error.strerror or str(error)))


def _object() -> ObjectFile:
    try:
        return ObjectFile(OBJECT.read_bytes())
    except FileNotFoundError:
        raise DriverError(f"{OBJECT} is missing; `make setup` compiles it") from None
