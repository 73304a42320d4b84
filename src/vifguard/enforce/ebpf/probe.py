"""A trial of the eBPF driver on this host."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vifguard.enforce.driver.device import Interface
from vifguard.enforce.driver.protocol import Attachment, Capabilities, DriverError
from vifguard.enforce.driver.session import Session
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.kernel import probe as kernel
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.net.link import Links, NewBridge
from vifguard.model.address import Mac
from vifguard.model.policy import PortPolicy

_BRIDGE = NewBridge("vgprobe", Mac(b"\x02\x76\x67\x00\x00\x01"), 1500)


def probe(state_dir: Path) -> Capabilities | tuple[str, ...]:
    """Try the driver in this network namespace; its abilities, or what the kernel lacks for it.

    Pins beside `state_dir`, so that a running agent is not disturbed, and leaves nothing behind.
    """
    needs: dict[str, Callable[[], str]] = {
        "tc programs": kernel.why_no_programs,
        "BPF ring buffers (Linux 5.8)": kernel.why_no_ring_buffer,
        "mapped BPF arrays (Linux 5.5)": kernel.why_no_mapped_array,
        "offload fields of sk_buff (BTF, no lockdown)": kernel.why_no_offload_fields,
    }
    if not kernel.has_tcx():
        needs["TCX (Linux 6.6) or clsact"] = kernel.why_no_clsact
    missing = tuple(f"{name}: {why}" for name, need in needs.items() if (why := need()))
    if missing:
        return missing
    directory = state_dir.with_name(f"{state_dir.name}-check-{os.getpid()}")
    try:
        return _attach(directory)
    except (DriverError, OSError) as error:
        return (f"guards: {error}",)
    finally:
        _remove(directory)


def _attach(directory: Path) -> Capabilities:
    """Guard an interface, read it back, and take everything away again."""
    policy = PortPolicy(str(uuid.uuid4()), frozenset(), frozenset(), closed="a check")
    driver = EbpfDriver(directory)
    session = Session(driver)
    with Links() as links:
        device = Interface(links.make_bridge(_BRIDGE).index)
        attachment = Attachment(policy, device, reversed_hooks=False, revision=1)
        try:
            result = session.apply(session.plan([attachment], frozenset({device})))
            for why in result.failed.values():
                raise DriverError(why)
            return driver.capabilities
        finally:
            driver.remove_all()
            links.remove(device)


def _remove(directory: Path) -> None:
    """Remove the directory, and the mount that it may have been made for."""
    with suppress(OSError):
        bpffs.unmount(directory)
    with suppress(OSError):
        directory.rmdir()
