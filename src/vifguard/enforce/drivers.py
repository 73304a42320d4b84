"""The drivers of a host, in the order in which one is chosen for a port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vifguard.enforce.driver.protocol import Capabilities, DriverError, HeldError, Removal
from vifguard.enforce.driver.session import Session
from vifguard.enforce.ebpf import guarded_interfaces as ebpf_interfaces
from vifguard.enforce.ebpf import pins, probe, removal
from vifguard.enforce.ebpf.driver import EbpfDriver


@dataclass(frozen=True, slots=True)
class EbpfSettings:
    """The settings of the eBPF driver.

    `tcx`: attach guards by TCX, or by clsact; None: by TCX where the kernel has it.
    `connections`: the capacity of the host's table; 0: by the host's memory.
    """

    tcx: bool | None = None
    connections: int = 0


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """An operator's settings of drivers.

    `state_dir`: where the state of guards is kept, without symbolic links, as it names agent and
    run file. eBPF pins there; another driver keeps its own beside.
    """

    state_dir: Path
    ebpf: EbpfSettings = EbpfSettings()


@dataclass(frozen=True, slots=True)
class Drivers:
    """The drivers that this host can use; `unusable`: what it lacks for the others, and why."""

    sessions: tuple[Session[object], ...]
    unusable: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """What the host lacks for any driver; empty where it can use one."""
        return () if self.sessions else self.unusable

    @property
    def capabilities(self) -> tuple[Capabilities, ...]:
        """The abilities of each driver."""
        return tuple(session.driver.capabilities for session in self.sessions)

    def close(self) -> None:
        """Close all of them; the guards stay in force."""
        for session in self.sessions:
            session.driver.close()


@dataclass(frozen=True, slots=True)
class DriverEntry:
    """The ways into one driver. Beside a running agent only `open` and `hold` are refused.

    `open` raises HeldError, DriverError and OSError. `probe` tries the driver in this network
    namespace: its abilities, or what the host lacks. `hold` raises as `open` does, and needs no
    state of the guards but what is attached. `guarded` are the interfaces with a guard of
    the driver's (OSError); a driver that knows devices by name finds their interfaces itself.
    `noted_store` is the id that `set_store` noted, or empty. Each takes the `state_dir`.
    """

    name: str
    open: Callable[[DriverSettings], Session[object]]
    hold: Callable[[Path], Removal]
    probe: Callable[[Path], Capabilities | tuple[str, ...]]
    guarded: Callable[[Path], frozenset[int]]
    noted_store: Callable[[Path], str]


def _open_ebpf(settings: DriverSettings) -> Session[object]:
    ebpf = settings.ebpf
    return Session(EbpfDriver(settings.state_dir, tcx=ebpf.tcx, connections=ebpf.connections))


DRIVERS: Sequence[DriverEntry] = (
    DriverEntry(
        "ebpf",
        _open_ebpf,
        removal.Removal,
        probe.probe,
        ebpf_interfaces.guarded,
        pins.store_of,
    ),
)
"""Specific before general: the first that answers for an interface is its driver, and eBPF, which
answers for any, is the last."""


def open_drivers(settings: DriverSettings, entries: Sequence[DriverEntry] = DRIVERS) -> Drivers:
    """Open the drivers that this host can use, and say what it lacks for the others.

    Raises HeldError where another process or namespace holds the guards; none is open then.
    """
    sessions: list[Session[object]] = []
    unusable: list[str] = []
    for entry in entries:
        try:
            sessions.append(entry.open(settings))
        except HeldError:
            Drivers(tuple(sessions)).close()
            raise
        except (DriverError, OSError) as error:
            unusable.append(f"guards of {entry.name}: {error}")
    return Drivers(tuple(sessions), tuple(unusable))


@contextmanager
def hold_all(
    state_dir: Path, entries: Sequence[DriverEntry] = DRIVERS
) -> Iterator[Sequence[Removal]]:
    """Hold the guards of every driver, to remove them; those that are not removed stay in force.

    Raises DriverError where one's cannot be held, HeldError as above, and OSError.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(closing(entry.hold(state_dir))) for entry in entries]


def probe_drivers(
    state_dir: Path, entries: Sequence[DriverEntry] = DRIVERS
) -> tuple[tuple[Capabilities, ...], tuple[str, ...]]:
    """Try each driver in this network namespace, beside a running agent's; leave nothing behind.

    Returns the abilities of those that work, and, where none does, what the host lacks for any.
    """
    found = [entry.probe(state_dir) for entry in entries]
    able = tuple(each for each in found if isinstance(each, Capabilities))
    lacking = tuple(why for each in found if not isinstance(each, Capabilities) for why in each)
    return able, () if able else lacking


def guarded_interfaces(state_dir: Path, entries: Sequence[DriverEntry] = DRIVERS) -> frozenset[int]:
    """The interfaces that have a guard of this agent's, which may be running. Raises OSError."""
    return frozenset().union(*(entry.guarded(state_dir) for entry in entries))


def noted_stores(state_dir: Path, entries: Sequence[DriverEntry] = DRIVERS) -> frozenset[str]:
    """The ids of the stores whose ports are guarded here, as the drivers noted them."""
    return frozenset(entry.noted_store(state_dir) for entry in entries) - {""}
