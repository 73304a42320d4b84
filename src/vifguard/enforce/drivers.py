"""The drivers of a host, in the order in which one is chosen for a port."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vifguard.enforce.driver.protocol import Capabilities, DriverError, HeldError
from vifguard.enforce.driver.session import Session
from vifguard.enforce.ebpf import guarded_interfaces as ebpf_interfaces
from vifguard.enforce.ebpf import pins, probe
from vifguard.enforce.ebpf.driver import EbpfDriver


@dataclass(frozen=True, slots=True)
class DriverSettings:
    """An operator's settings of drivers.

    `bpf_dir`: where guards are pinned, without symbolic links, as it names agent and run file.
    `tcx`: attach guards by TCX, or by clsact; None: by TCX where the kernel has it.
    `connections`: the capacity of the host's table; 0: by the host's memory.
    """

    bpf_dir: Path
    tcx: bool | None = None
    connections: int = 0


@dataclass(frozen=True, slots=True)
class Drivers:
    """The drivers that this host can use; `missing`: what it lacks for any, with the reasons."""

    sessions: tuple[Session[object], ...]
    missing: tuple[str, ...] = ()

    @property
    def capabilities(self) -> tuple[Capabilities, ...]:
        """The abilities of each driver."""
        return tuple(session.driver.capabilities for session in self.sessions)

    def close(self) -> None:
        """Close all of them; the guards stay in force."""
        for session in self.sessions:
            session.driver.close()


def open_drivers(settings: DriverSettings) -> Drivers:
    """Open the drivers that this host can use, or say what it lacks.

    Raises HeldError where another process holds the guards.
    """
    try:
        driver = EbpfDriver(settings.bpf_dir, tcx=settings.tcx, connections=settings.connections)
    except HeldError:
        raise
    except (DriverError, OSError) as error:
        return Drivers((), (f"guards: {error}",))
    session = Session(driver)
    return Drivers((session,))


def open_all(settings: DriverSettings) -> Drivers:
    """Open every driver that may have guards here, to remove them.

    Raises DriverError where one cannot be opened, and HeldError as above.
    """
    drivers = open_drivers(settings)
    if drivers.missing:
        drivers.close()
        raise DriverError("; ".join(drivers.missing))
    return drivers


def probe_drivers(bpf_dir: Path) -> tuple[tuple[Capabilities, ...], tuple[str, ...]]:
    """Try each driver in this network namespace, beside a running agent's; leave nothing behind.

    Returns the abilities of those that work, and what the host lacks for the others.
    """
    found = probe.probe(bpf_dir)
    return ((found,), ()) if isinstance(found, Capabilities) else ((), found)


def guarded_interfaces(bpf_dir: Path) -> frozenset[int]:
    """The interfaces that have a guard of this agent's, which may be running. Raises OSError."""
    return ebpf_interfaces.guarded(bpf_dir)


def noted_store(bpf_dir: Path) -> str:
    """The id of the store whose ports are guarded here; empty where none is noted."""
    return pins.store_of(bpf_dir)
