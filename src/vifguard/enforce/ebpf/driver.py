"""The eBPF driver: a program in each direction for all ports, policies in maps, all of it pinned.

A port's change is one word: a fresh entry is written where nobody reads, then the port's
slot is pointed at it. Killed at any moment, this leaves the old policy or the new one in
force; other leftovers are swept after the next complete `observe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Self

from vifguard.enforce.driver.device import Device, Interface, ifindex_of
from vifguard.enforce.driver.events import Dropped
from vifguard.enforce.driver.protocol import (
    ApplyError,
    Attachment,
    Capabilities,
    Change,
    Desired,
    Driver,
    DriverError,
    Loss,
    Observed,
    PortError,
    RulesetChange,
)
from vifguard.enforce.ebpf import state
from vifguard.enforce.ebpf.events import Events
from vifguard.enforce.ebpf.guarded_namespace import require_namespace
from vifguard.enforce.ebpf.hooks import AttachMethod, ClsactFilters, Detached
from vifguard.enforce.ebpf.legacy_links import LegacyLinks
from vifguard.enforce.ebpf.maps.connection_table import ConnectionMap, buckets_for, memory, usual
from vifguard.enforce.ebpf.maps.global_config import GlobalConfig
from vifguard.enforce.ebpf.maps.ruleset_maps import RulesetMaps
from vifguard.enforce.ebpf.pin_directory import FROM_GUEST, TO_GUEST, PinDirectory
from vifguard.enforce.ebpf.pins import Pins
from vifguard.enforce.ebpf.ports import Ports, isolated
from vifguard.enforce.ebpf.removal import Removal
from vifguard.enforce.ebpf.state import NO_HOOKS, Hooks, PortImage
from vifguard.enforce.ebpf.tcx_hooks import Tcx
from vifguard.kernel import probe, rcu
from vifguard.kernel.bpf import skbuff
from vifguard.kernel.bpf.bpf_syscall import Map, Program, VerifierError
from vifguard.kernel.bpf.elf import ObjectError, ObjectFile
from vifguard.kernel.bpf.offload_reader import Reader
from vifguard.kernel.net.link import Link
from vifguard.model.address import IPNetwork
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction
from vifguard.packet.offload import NO_OFFLOAD, Offload

NAME = "ebpf"
OBJECT = Path(__file__).parents[1] / "bpf" / "guard.bpf.o"
_BATCH = 2
_GROUPS = "by_groups"
"""The program that the two others go on with at ports that have groups."""
_ANSWER = "answer"
_FLOWS = "flows"
"""The map that is the table of connections."""
_OFFLOAD = "read_offload"
"""The function of the object that reads a frame's offload."""
# fmt: off
NEEDED = frozenset({
    "addresses", "allowed", "buckets", "claims", "continuations", "counters", "directory", "drops",
    "entries", "ethertypes", "flows", "macs", "member_prefixes", "members", "overflow",
    "passages", "port_groups", "prefix_sets", "prefixes", "remote_sets", "remotes", "settings",
    "slots", "tracking", "vrids", "wanted", "from_guest", "to_guest", "by_groups", "answer",
})
# fmt: on
"""The maps and programs of the object; one that was compiled before a pull may lack some."""
_PROGRAMS = {Direction.FROM_GUEST: FROM_GUEST, Direction.TO_GUEST: TO_GUEST}


class EbpfDriver(Driver[PortImage]):
    """Enforces policies with eBPF programs at tc hooks.

    `EbpfDriver(directory)` finds the pins of an earlier process there and goes on with them;
    DriverError names the reason where it cannot.
    """

    def __init__(
        self, bpf_dir: Path | None, *, tcx: bool | None = None, connections: int = 0
    ) -> None:
        """`tcx`: attach by TCX, or by clsact; None: by TCX where the kernel has it.

        `connections`: the capacity of the table of connections; 0: by the host's memory.
        """
        reader = skbuff.reader if bpf_dir else skbuff.test_reader
        code = _object(reader, connections or usual(memory()))
        self._lost: list[str] = []
        self._pins = Pins(bpf_dir) if bpf_dir else None
        try:
            self._load(code, tcx=probe.has_tcx() if tcx is None else tcx)
        except VerifierError as error:
            raise DriverError(str(error)) from error
        finally:
            if self._pins and not hasattr(self, "_events"):
                self._pins.close()

    @classmethod
    def private(cls, connections: int = 8192) -> Self:
        """A driver without pins and attachments, gone with the process.

        Its frames come from `test`, and it records every drop.
        """
        return cls(None, connections=connections)

    def _load(self, code: ObjectFile, *, tcx: bool) -> None:
        self._attaching: AttachMethod = Detached()
        self._other: AttachMethod = Detached()
        """The method that is not used: it finds attachments that an earlier start left."""
        self._directory: PinDirectory | None = None
        if not self._pins:
            self._maps = {name: Map.create(spec) for name, spec in code.maps.items()}
            self._programs = {name: code.load(name, self._maps) for name in code.programs}
        else:
            self._directory = directory = PinDirectory(self._pins.root)
            require_namespace(self._pins)
            self._maps = self._pins.maps(code)
            directory.mark(self._maps)
            load = partial(directory.load, code, maps=self._maps)
            self._programs = self._pins.programs(code, self._maps, load)
            former = LegacyLinks(self._pins.root, directory)
            former.tidy()
            ways = (
                Tcx(self._programs, directory, former, load),
                ClsactFilters(self._programs, directory),
            )
            self._attaching, self._other = ways if tcx else reversed(ways)
        self._left_at = set(self._other.seen_all())
        self._continue()
        self._ports = Ports(self._maps)
        self._settings = GlobalConfig(self._maps)
        self._ruleset = RulesetMaps(self._maps, self._settings)
        self._events = Events(self._maps, self._ports, self._programs[_ANSWER])

    def _continue(self) -> None:
        """Set the program that the two others go on with."""
        self._maps["continuations"].update(state.word(0), state.word(self._programs[_GROUPS].fd))

    def close(self) -> None:
        """Close all handles; pinned and attached objects stay in force."""
        self._events.close()
        self._ports.close()
        self._settings.close()
        self._attaching.close()
        self._other.close()
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
    def events(self) -> Events:
        """The reader of the programs' events."""
        return self._events

    @property
    def capabilities(self) -> Capabilities:
        """The way of attaching (`tcx`, `clsact`, or `none` for a private driver); all guards."""
        return Capabilities(NAME, self._attaching.name)

    @property
    def holder(self) -> str:
        """The id of the directory of pins; empty for a private driver."""
        return self._pins.id if self._pins else ""

    @property
    def store(self) -> str:
        """The id of the store that is noted beside the pins; empty for none."""
        return self._pins.store if self._pins else ""

    def set_store(self, ident: str) -> None:
        """Note the id of the store whose ports are guarded; raises OSError."""
        if self._pins:
            self._pins.set_store(ident)

    def device_of(self, link: Link) -> Interface:
        """Any interface, by its index."""
        return Interface(link.index)

    def load_ruleset(self, change: RulesetChange) -> frozenset[str]:
        """Bring rules and sets into force; return the groups that fit anew or do not any more."""
        return self._ruleset.load(change)

    def render(self, attachments: Iterable[Attachment]) -> Desired[PortImage]:
        """The images that enforce these policies; one that cannot be is refused and closed."""
        ports: dict[Device, PortImage] = {}
        refused: dict[Device, str] = {}
        running: set[Device] = set()
        for each in attachments:
            running |= {each.device} if each.running else set()
            hooks = self._attaching.desired(swapped=each.reversed_hooks)
            if each.device in ports:
                refused[each.device] = f"two ports on interface {each.device}"
            else:
                try:
                    ports[each.device] = self._render(each, hooks)
                    continue
                except ValueError as error:
                    refused[each.device] = str(error)
            ports[each.device] = state.closed(each, hooks)
        return Desired(ports, refused, frozenset(running))

    def _render(self, attachment: Attachment, hooks: Hooks) -> PortImage:
        if Guard.SECURITY_GROUPS in attachment.policy.guards:
            why = self._ruleset.why_not(attachment.policy.security_groups)
            if why:
                raise ValueError(why)
        digests = self._settings.digests
        return state.render(attachment, hooks, digests, report_all=self._pins is None)

    def observe(self, scope: frozenset[Device] | None) -> Observed[PortImage]:
        """Read the kernel's state back; without a `scope`, find leftovers of no port too."""
        if scope is None:
            return self._observe_all()
        indexes = [ifindex_of(device) for device in scope]
        observed = ((i, self._ports.read(i, self._attaching.observed(i))) for i in indexes)
        found = {i: port for i, port in observed if port.entry or port.hooks != NO_HOOKS}
        return Observed({Interface(i): port for i, port in found.items()})

    def _observe_all(self) -> Observed[PortImage]:
        hooks = self._attaching.seen_all()
        ports = {
            ifindex: replace(port, hooks=hooks.get(ifindex, NO_HOOKS))
            for ifindex, port in self._ports.read_all()
        }
        for ifindex in hooks.keys() - ports.keys():
            ports[ifindex] = self._ports.read(ifindex, hooks[ifindex])
        stale = self._pins.stale() if self._pins else frozenset()
        left = frozenset(f"{self._other.name} at interface {i}" for i in self._other.seen_all())
        leftovers = self._ports.leftovers(frozenset(hooks)) | stale | left
        return Observed({Interface(i): port for i, port in ports.items()}, leftovers)

    def loss(self, enforced: PortImage, observed: PortImage | None) -> Loss | None:
        """The first difference between a port's enforced guard and the observed one, or None."""
        return state.loss(enforced, observed)

    def port_of(self, observed: PortImage) -> str | None:
        """The id in the entry: empty where the maps are another build's, or their pins are gone."""
        return observed.port_id if observed.hooks != NO_HOOKS else None

    def repair(self) -> tuple[str, ...]:
        """Put back lost parts that all ports have in common; return their descriptions.

        Raises OSError or DriverError where that fails.
        """
        lost, self._lost = self._lost, []
        if self._pins and self._pins.repair():
            lost.append("pins of maps or programs were removed")
        continued = self._maps["continuations"].lookup(state.word(0))
        if continued != state.word(self._programs[_GROUPS].id):
            self._continue()
            lost.append("the program of security groups was not where the others go on")
        if self._directory and self._directory.repair(self._maps):
            lost.append("the mark by which this agent knows its guards was removed")
        if self._settings.repair():
            lost.append("the settings of all ports were not what was written")
        return tuple(lost)

    def compare_rules(self, sets: Mapping[str, Iterable[IPNetwork]]) -> Iterator[bool]:
        """Whether the maps hold the rules and `sets`, step by step: `RulesetMaps.compare`."""
        return self._ruleset.compare(sets)

    def rules_lost(self) -> bool:
        """Whether a map of the rules of groups, or of the members of sets, was emptied."""
        return self._ruleset.is_emptied()

    def apply(self, change: Change[PortImage]) -> None:
        """Write, publish, attach, detach, sweep; ApplyError names the ports that failed."""
        failed: list[PortError] = []
        ports = {ifindex_of(device): port for device, port in change.ports.items()}
        before = {ifindex_of(device): port.hooks for device, port in change.observed.items()}
        observed = {i: before.get(i, NO_HOOKS) for i in ports}
        attach = [i for i, port in ports.items() if port.hooks != observed[i]]
        if attach:
            with suppress(OSError, DriverError):  # each port then reports its own failure
                self._lost += self.repair()
        guarded = {i for i, hooks in observed.items() if hooks != NO_HOOKS}
        running = frozenset(ifindex_of(device) for device in change.running)
        self._ports.put(ports, failed, running=guarded | running)
        waits = attach or change.removed or change.sweep or self._ports.has_old
        with rcu.expedited() if waits else nullcontext():
            for ifindex in attach:
                with isolated(ifindex, failed):
                    self._attach(ifindex, ports[ifindex].hooks, observed[ifindex])
            for ifindex in map(ifindex_of, change.removed):
                with isolated(ifindex, failed):
                    self._attaching.remove(ifindex)
                    self._ports.clear(ifindex)
            # A program of another build may have judged connections by its own rules.
            if self._ports.allow_less or guarded.intersection(attach):
                self._settings.raise_generation()
                # Last: a write that fails is then made by the next change.
                self._ports.allow_less = False
            if change.sweep:
                self._sweep(frozenset(ifindex_of(each.device) for each in failed))
            self._ports.collect()
        if failed:
            raise ApplyError("ports that could not be brought to their desired state", failed)

    def _attach(self, ifindex: int, hooks: Hooks, observed: Hooks) -> None:
        self._attaching.put(ifindex, hooks, observed)
        # Left by a start that attached the other way; reading it at each change would cost by the
        # number of the host's interfaces.
        if ifindex in self._left_at:
            self._other.remove(ifindex)
            self._left_at.discard(ifindex)

    def _sweep(self, failed: frozenset[int]) -> None:
        """Remove leftovers of no port; those of a port that failed guard it still."""
        for ifindex in self._other.seen_all().keys() - failed:
            self._other.remove(ifindex)
        self._ports.sweep(frozenset(self._attaching.seen_all()))
        if self._pins:
            self._pins.sweep()

    def remove_all(self) -> None:
        """Remove every guard of this driver from the host, and all its pins."""
        self.close()
        if self._pins:
            Removal(self._pins.root).remove_all()

    def connections(self) -> ConnectionMap:
        """The table of connections, to be read and closed."""
        return ConnectionMap(self._maps[_FLOWS])

    def refill(self, ifindex: int) -> None:
        """Make the port's storm bucket full."""
        self._maps["buckets"].delete(state.word(ifindex))

    def set_clock(self, now: int) -> None:
        """Set the programs' time for connections (ns); 0: the kernel's. For tests."""
        self._settings.set_clock(now)

    def set_new(self, ifindex: int, until: int) -> None:
        """Make the guard new on a port until then (ns). For tests."""
        self._ports.set_new(ifindex, until)

    def set_generation(self, generation: int) -> None:
        """Set the generation of the rules, of 32 bits. For tests."""
        self._settings.set_generation(generation)

    def test(
        self,
        direction: Direction,
        frame: bytes,
        ifindex: int = 1,
        offload: Offload = NO_OFFLOAD,
    ) -> Dropped | None:
        """The program's verdict on a frame: None passes. For a private driver.

        OSError for a frame that `is_testable` does not hold of.
        """
        return self.test_all(direction, (frame,), ifindex, (offload,))[0]

    def test_all(
        self,
        direction: Direction,
        frames: Sequence[bytes],
        ifindex: int = 1,
        offloads: Iterable[Offload] = (),
    ) -> list[Dropped | None]:
        """The program's verdicts on at most 4096 frames; without `offloads` they are complete.

        The records are read after the last frame: a record that its reader waits for makes the
        kernel wake the reader, at three times the cost of a frame.
        """
        self.events.drops()
        run = self._programs[_PROGRAMS[direction]].test_run
        shot = [
            run(frame, ifindex=ifindex, control=_control(left), gso_size=left.gso_size)[0] == _BATCH
            for frame, left in zip(frames, offloads or repeat(NO_OFFLOAD), strict=False)
        ]
        records = self.events.drops()
        if len(records) != sum(shot):
            raise DriverError(f"{sum(shot)} dropped frames with {len(records)} drop records")
        following = iter(records)
        return [next(following) if each else None for each in shot]

    @staticmethod
    def is_testable(frame: bytes) -> bool:
        """Whether BPF_PROG_TEST_RUN takes the frame: it needs the whole header of its ethertype.

        Interfaces deliver shorter IP packets too: try those on a real one.
        """
        least = {b"\x08\x00": 34, b"\x86\xdd": 54}
        return len(frame) >= least.get(frame[12:14], 14)


def _control(offload: Offload) -> bytes:
    """The value of `cb` in a test run for an offload; `cb[0]` is the program `answer`'s."""
    left = offload.checksum
    if left is None:
        return b""
    return bytes(4) + skbuff.packed(start=left.start, offset=left.offset, not_inet=left.crc)


def _object(reader: Callable[[], Reader], room: int) -> ObjectFile:
    try:
        offload = reader()
        code = ObjectFile(
            OBJECT.read_bytes(),
            bodies={_OFFLOAD: offload.function},
            in_line={} if offload.stack else {_OFFLOAD: offload.code},
            sizes={_FLOWS: buckets_for(room)},
        )
        missing = NEEDED.difference(code.maps, code.programs)
    except FileNotFoundError:
        raise DriverError(f"{OBJECT} is missing; `make setup` compiles it") from None
    except ObjectError as error:
        raise DriverError(f"{OBJECT}: {error}; `make setup` compiles it anew") from error
    except skbuff.UnreadableError as error:
        raise DriverError(
            f"checksums that are left to be completed cannot be judged: {error}"
        ) from error
    if missing:
        raise DriverError(
            f"{OBJECT} was compiled from other sources and lacks {', '.join(sorted(missing))}; "
            "`make setup` compiles it anew"
        )
    return code
