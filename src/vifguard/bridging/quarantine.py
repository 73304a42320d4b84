"""The quarantine: drop chains that block a device before, between and without its guard.

One table a host. A chain is bound to a device's *name*: where the kernel lets it wait for a
device (Linux 6.16), an interface is blocked from its first moment; elsewhere a chain needs
a device that is there. It also seals our bridges off from the host itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from vifguard.bridging.member_filters import TABLE as MEMBERS
from vifguard.kernel.net.netlink import NetlinkError
from vifguard.kernel.nftables.nft import NO_TABLE, DropChain, DropTable, DropTableWatch, Hook

TABLE = "vifguard-quarantine"
FORMER_TABLE = "vifguard-floor"
"""The name that the table has of an agent of an earlier release."""


class Quarantine:
    """The names of devices at which every frame is dropped, both ways. One thread's."""

    def __init__(self, table: str = TABLE) -> None:
        self._table = DropTable(table)
        self._chains: set[DropChain] = set()
        self._spoiled: frozenset[DropChain] = frozenset()
        self.read_back()

    def close(self) -> None:
        """Close the table; blocked devices stay blocked."""
        self._table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_over(self) -> None:
        """Block what an agent of an earlier release blocks, and then remove its table.

        A device is free at no moment: its new chains are there before the former ones go. Raises
        OSError where a device cannot be blocked; the former table then stays in force.
        """
        with DropTable(FORMER_TABLE) as former:
            failed = self.update(block={chain.device for chain in _chains_of(former)})
            # The chain of a device that is gone is gone as well.
            for device in sorted(failed.keys() & {chain.device for chain in _chains_of(former)}):
                why = f"{device} cannot be blocked by the table {TABLE}: {failed[device]}"
                raise OSError(f"{why}; the table {FORMER_TABLE} of an earlier release stays")
            former.remove()

    def watch(self) -> DropTableWatch:
        """A subscription to changes of the quarantine, or of a member filter, by somebody else."""
        return DropTableWatch(self._table, MEMBERS)

    def is_blocked(self, device: str) -> bool:
        """Whether a device is blocked both ways, as of the last read or change."""
        return _chains(device) <= self._chains

    @property
    def devices(self) -> frozenset[str]:
        """The devices that are blocked at least one way."""
        return frozenset(chain.device for chain in self._chains | self._spoiled)

    def read_back(self) -> None:
        """Read the chains back: somebody else may have flushed them."""
        there = _chains_of(self._table)
        self._spoiled = self._table.tampered() if there else frozenset()
        self._chains = set(there - self._spoiled)

    def update(self, block: Iterable[str] = (), unblock: Iterable[str] = ()) -> Mapping[str, str]:
        """Block and unblock devices; return failures with their reasons.

        Blocking a blocked device, or unblocking a free one, changes nothing.
        """
        failed: dict[str, str] = {}
        add, remove = self._difference(block, unblock)
        if not (add or remove):
            return failed
        try:
            self._change(add, remove)
        except NetlinkError:
            # Somebody else changed the table, or one device is not there: each on its own.
            self.read_back()
            for device in sorted({chain.device for chain in add | remove}):
                self._one(device, add, failed)
        return failed

    def remove(self) -> None:
        """Remove the quarantine altogether, that of an earlier release included."""
        self._table.remove()
        with DropTable(FORMER_TABLE) as former:
            former.remove()
        self._chains.clear()

    def _difference(
        self, block: Iterable[str], unblock: Iterable[str]
    ) -> tuple[frozenset[DropChain], frozenset[DropChain]]:
        desired = {chain for device in block for chain in _chains(device)}
        free = {chain for device in unblock for chain in _chains(device)} - desired
        return (
            frozenset(chain for chain in desired if chain not in self._chains),
            frozenset(free & (self._chains | self._spoiled)),
        )

    def _one(self, device: str, add: frozenset[DropChain], failed: dict[str, str]) -> None:
        desired = {chain for chain in add if chain.device == device}
        try:
            if desired:
                self._change(frozenset(c for c in desired if c not in self._chains), frozenset())
            else:
                self._change(frozenset(), _chains(device) & (self._chains | self._spoiled))
        except NetlinkError as error:
            failed[device] = error.reason

    def _change(self, add: frozenset[DropChain], remove: frozenset[DropChain]) -> None:
        if add or remove:
            anew = add & self._spoiled
            self._table.change(sorted(add), sorted(remove | anew))
            self._chains.difference_update(remove)
            self._chains.update(add)
            self._spoiled -= add | remove


def _chains_of(table: DropTable) -> frozenset[DropChain]:
    """The chains of a table; none where the kernel has no nftables."""
    try:
        return table.chains()
    except NetlinkError as error:
        if error.errno not in NO_TABLE:
            raise
        return frozenset()


def _chains(device: str) -> frozenset[DropChain]:
    return frozenset(DropChain(device, hook) for hook in Hook)
