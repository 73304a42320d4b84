"""The quarantine: drop chains that block a device before, between and without its guard.

One table a host. A chain stands on a device's *name*: where the kernel lets it wait for a
device (Linux 6.16), an interface is held from its first moment; elsewhere the chain can
only stand on a device that is there. It also seals our bridges off from the host itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from typing import Self

from vifguard.bridging.member_filters import TABLE as MEMBERS
from vifguard.kernel.net.netlink import NetlinkError
from vifguard.kernel.nftables.nft import DropChain, DropTable, DropTableWatch, Hook

TABLE = "vifguard-floor"


class Quarantine:
    """The names of devices at which every frame is dropped, both ways. One thread's."""

    def __init__(self, table: str = TABLE) -> None:
        self._table = DropTable(table)
        self._chains: set[DropChain] = set()
        self._spoiled: frozenset[DropChain] = frozenset()
        self.read_back()

    def close(self) -> None:
        """Let go; what is held stays held."""
        self._table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def watch(self) -> DropTableWatch:
        """Tells when somebody else changes the quarantine, or a member filter."""
        return DropTableWatch(self._table, MEMBERS)

    def is_blocked(self, device: str) -> bool:
        """Whether a device is held both ways, as of the last look or change."""
        return _chains(device) <= self._chains

    @property
    def devices(self) -> frozenset[str]:
        """The devices that are held at least one way."""
        return frozenset(chain.device for chain in self._chains | self._spoiled)

    def read_back(self) -> None:
        """Read back what is there: somebody else may have flushed it."""
        try:
            self._spoiled = self._table.tampered()
            self._chains = set(self._table.chains() - self._spoiled)
        except NetlinkError as error:
            # A kernel without nftables holds nothing.
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            self._chains, self._spoiled = set(), frozenset()

    def update(self, block: Iterable[str] = (), unblock: Iterable[str] = ()) -> Mapping[str, str]:
        """Hold and release devices; those that could not be, and why.

        Holding what is held, and releasing what is free, changes nothing.
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
        """Remove the quarantine altogether."""
        self._table.remove()
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


def _chains(device: str) -> frozenset[DropChain]:
    return frozenset(DropChain(device, hook) for hook in Hook)
