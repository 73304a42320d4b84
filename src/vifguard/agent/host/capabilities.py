"""Capabilities of this host, probed in a temporary network namespace."""

from __future__ import annotations

import errno
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vifguard.bridging.member_filters import NftFilter, VlanFilter
from vifguard.enforce.driver.protocol import Capabilities
from vifguard.enforce.drivers import probe_drivers
from vifguard.feed.messages import HostReport
from vifguard.kernel import probe
from vifguard.kernel.net import sysctl
from vifguard.kernel.net.link import LinkChange, Links, NewBridge
from vifguard.kernel.net.netns import in_throwaway
from vifguard.kernel.nftables.nft import DropChain, DropTable, Hook
from vifguard.kernel.nftables.nft_members import MembersTable
from vifguard.model.address import Mac

_BPF_DIR = Path("/sys/fs/bpf/vifguard")
_BRIDGE = NewBridge("vgprobe", Mac(b"\x02\x76\x67\x00\x00\x01"), 1500)
_TABLE = "vifguard-probe"

BY_GUARD = "an interface joins its bridge only after its guard"
BY_NAME = "a drop chain waits for the interface's name"
BY_VLAN = "a bridge forwards nothing for a member that was not let in"
BY_MEMBERS = "a bridge of the operator's forwards nothing for a new member without a guard"


@dataclass(frozen=True, slots=True)
class BridgeFeatures:
    """Features of the kernel's bridges and netdev hooks; `missing` ones, each with the reason.

        `by_name`: a chain can wait for a device. `vlan_quarantine`: a bridge can hold members back.
    `members`: the name of the filter for members of the operator's bridges, or empty.
    """

    missing: tuple[str, ...]
    by_name: bool
    vlan_quarantine: bool
    members: str = ""

    @property
    def features(self) -> frozenset[str]:
        """The features by name."""
        found = {
            "bridge-vlan-filtering": self.vlan_quarantine,
            "netdev-hooks-by-name": self.by_name,
            f"member-filter-{self.members}": bool(self.members),
        }
        return frozenset(name for name, has in found.items() if has)


def host_report(bpf_dir: Path = _BPF_DIR) -> HostReport:
    """The kernel and capabilities of this host: `vifguard host check`. Leaves nothing behind.

    Guards are tried beside `bpf_dir`, so that a running agent is not disturbed.
    """
    drivers, missing = in_throwaway(lambda: probe_drivers(bpf_dir))
    return report(probe_bridges(), drivers, missing)


def report(
    wire: BridgeFeatures, drivers: Sequence[Capabilities], missing: tuple[str, ...]
) -> HostReport:
    """The report of a host as it is now, from the features of its bridges (`wire`) and drivers.

    `missing` is what the host lacks for a driver.

    What the kernel can do it goes on to do; whether the host's own rules see bridged packets is
    looked up at each call, in the calling thread's network namespace.
    """
    quarantine = {
        BY_GUARD: not missing,
        BY_NAME: wire.by_name,
        BY_VLAN: wire.vlan_quarantine,
        f"{BY_MEMBERS} ({wire.members})": bool(wire.members),
    }
    lacking = (*missing, *wire.missing, *_rewriters())
    return HostReport(
        kernel=platform.release(),
        driver=", ".join(f"{each.driver} ({each.mechanism})" for each in drivers) or "none",
        features=wire.features.union(*(each.features for each in drivers)),
        missing=lacking,
        quarantine=tuple(name for name, holds in quarantine.items() if holds),
        isolation=not lacking,
        refused_guards=tuple(
            f"{each.driver}: {guard.value}: {why}"
            for each in drivers
            for guard, why in sorted(each.refused.items())
        ),
    )


def isolation_unsupported(about: HostReport) -> str:
    """The reason why a host cannot keep networks apart; empty where it can."""
    return "" if about.isolation else "; ".join(about.missing)


def probe_bridges() -> BridgeFeatures:
    """Try bridges and drop chains."""
    try:
        return in_throwaway(_probe_bridges)
    except OSError as error:
        return BridgeFeatures(
            (f"network namespaces: {error}",), by_name=False, vlan_quarantine=False
        )


def _rewriters() -> tuple[str, ...]:
    """Settings by which something may rewrite or redirect a guest's frame between its two guards.

    With br_netfilter the host's own rules see bridged packets: DNAT rewrites a judged packet,
    a FORWARD policy drops it, and fragments of two networks with equal addresses meet in one
    reassembly queue. Docker and Kubernetes load the module; its default is on.
    """
    tables = sysctl.bridge_netfilter()
    if not tables:
        return ()
    switches = " ".join(f"net.bridge.bridge-nf-call-{table}=0" for table in tables)
    what = f"this host's {', '.join(tables)} see bridged packets and may rewrite them"
    return (f"bridges to themselves: {what} (br_netfilter); set {switches}",)


def _probe_bridges() -> BridgeFeatures:
    found = {
        "bridges": probe.error_of(_make_bridge),
        "nftables netdev hooks (Linux 5.16)": probe.error_of(lambda: _quarantine("lo")),
    }
    return BridgeFeatures(
        tuple(f"{name}: {why}" for name, why in found.items() if why),
        by_name=not probe.error_of(lambda: _quarantine("vgnotyet")),
        vlan_quarantine=not (
            no_vlans := probe.error_of(lambda: _make_bridge(vlan_quarantine=True))
        ),
        members=_member_filter(by_vlans=not no_vlans),
    )


def _member_filter(*, by_vlans: bool) -> str:
    if by_vlans:
        return VlanFilter.name
    return "" if probe.error_of(_filter_members) else NftFilter.name


def _filter_members() -> None:
    with MembersTable(_TABLE) as table:
        table.make(["lo"], [1])
        found = table.members()
        table.remove()
        if found != frozenset({1}):
            raise OSError(errno.EIO, "the kernel did not show the filter after it was written")


def _make_bridge(*, vlan_quarantine: bool = False) -> None:
    with Links() as links:
        made = links.make_bridge(replace(_BRIDGE, vlan_quarantine=vlan_quarantine))
        refused = links.change([LinkChange(made.index, up=True)])[0]
        links.remove(made.index)
        if refused is not None:
            raise refused


def _quarantine(device: str) -> None:
    with DropTable(_TABLE) as table:
        chains = [DropChain(device, hook) for hook in Hook]
        table.change(add=chains)
        held = table.chains()
        table.remove()
        if not held.issuperset(chains):
            raise OSError(errno.EIO, "the kernel did not show the chains after they were written")
