"""Chains of nftables at the hooks of network devices that drop everything.

Sent as nfnetlink messages (linux/netfilter/nf_tables.h): libnftables reads the host's
whole ruleset before each command, and text is never glued. Numbers are big-endian here.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import Message, Netlink, NetlinkError, attribute, nest, text

_PROTOCOL = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _GET_CHAIN, _DELETE_CHAIN = range(6)
_NEW_RULE, _DELETE_RULE = 6, 8
_FAMILY = 5
_GROUP_NFTABLES = 7
_HEADER = struct.Struct("!BBH")
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_USE, _CHAIN_TYPE, _CHAIN_COUNTERS = (
    1, 3, 4, 5, 6, 7, 8,
)  # fmt: skip
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_HOOK_NUMBER, _HOOK_PRIORITY, _HOOK_DEVICE = 1, 2, 3
_DROP = 0
_FIRST = -(1 << 31)
_PER_BATCH = 200

NO_TABLE = frozenset({errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP})
"""The errors of a kernel that does not have the table, or has no nftables."""


class Hook(IntEnum):
    """The hook of a device: for frames that it receives, or that are sent through it."""

    INGRESS = 0
    EGRESS = 1


@dataclass(frozen=True, slots=True, order=True)
class DropChain:
    """A chain that drops every frame at one hook of the device of this name."""

    device: str
    hook: Hook

    @property
    def name(self) -> str:
        """The name of the chain."""
        return f"{self.hook.name.lower()}-{self.device}"


class DropTable:
    """The drop chains of one netdev table. One thread's; of the namespace that it made it in."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._netlink = Netlink(_PROTOCOL)

    def close(self) -> None:
        """Close the socket; the chains stay."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The number of the socket, which nftables' notices of our own changes bear."""
        return self._netlink.port

    def chains(self) -> frozenset[DropChain]:
        """The chains that are there."""
        return frozenset(self.counts())

    def tampered(self) -> frozenset[DropChain]:
        """The chains that do not drop every frame: somebody gave them rules, or a policy.

        All, where the table is dormant (`flags dormant`).
        """
        if self._sleeps():
            return self.chains()
        dump = self._netlink.dump(_message(_GET_CHAIN))
        found = ((self._chain(each.body), each.body) for each in dump)
        return frozenset(chain for chain, body in found if chain and _is_tampered(body))

    def counts(self) -> Mapping[DropChain, int]:
        """The chains that are there, with the number of frames that each has dropped."""
        found: dict[DropChain, int] = {}
        for answer in self._netlink.dump(_message(_GET_CHAIN)):
            chain = self._chain(answer.body)
            if chain is not None:
                attributes = netlink.attributes(answer.body, _HEADER.size)
                counters = netlink.attributes(attributes.get(_CHAIN_COUNTERS, b""))
                found[chain] = int.from_bytes(counters.get(_COUNTER_PACKETS, b""), "big")
        return found

    def change(self, add: Iterable[DropChain] = (), remove: Iterable[DropChain] = ()) -> None:
        """Remove and add chains, and make the table if need be; one that is in both is made anew.

        Up to 100 chains in one step, more in several. Raises NetlinkError, and the step's
        chains are as they were: ENOENT where a device does not exist and this kernel's
        hooks do not wait for one, or where a chain to remove is not there.
        """
        messages = [self._removal(chain) for chain in remove]
        messages += [self._addition(chain) for chain in add]
        for start in range(0, len(messages), _PER_BATCH):
            self._commit(messages[start : start + _PER_BATCH])

    def remove(self) -> None:
        """Remove the table with all its chains; one that is not there is no error."""
        message = _message(_DELETE_TABLE, text(_TABLE_NAME, self.name))
        try:
            self._transact([message])
        except NetlinkError as error:
            if error.errno not in NO_TABLE:
                raise

    def _sleeps(self) -> bool:
        dump = self._netlink.dump(_message(_GET_TABLE))
        tables = (netlink.attributes(each.body, _HEADER.size) for each in dump)
        return any(
            netlink.read_text(each.get(_TABLE_NAME, b"")) == self.name
            and any(each.get(_TABLE_FLAGS, b""))
            for each in tables
        )

    def _commit(self, messages: list[Message]) -> None:
        awake = attribute(_TABLE_FLAGS, bytes(4))
        table = _message(_NEW_TABLE, text(_TABLE_NAME, self.name) + awake, netlink.CREATE)
        self._transact([table, *messages])

    def _transact(self, messages: list[Message]) -> None:
        messages[-1] = messages[-1]._replace(flags=messages[-1].flags | netlink.ACK)
        self._netlink.transact([_bracket(_BATCH_BEGIN), *messages, _bracket(_BATCH_END)])

    def _addition(self, chain: DropChain) -> Message:
        hook = nest(
            _CHAIN_HOOK,
            attribute(_HOOK_NUMBER, struct.pack("!I", chain.hook)),
            attribute(_HOOK_PRIORITY, struct.pack("!i", _FIRST)),
            text(_HOOK_DEVICE, chain.device),
        )
        policy = attribute(_CHAIN_POLICY, struct.pack("!I", _DROP))
        body = self._named(chain) + hook + policy + text(_CHAIN_TYPE, "filter") + _COUNTED
        return _message(_NEW_CHAIN, body, netlink.CREATE | netlink.EXCLUSIVE)

    def _removal(self, chain: DropChain) -> Message:
        return _message(_DELETE_CHAIN, self._named(chain))

    def _named(self, chain: DropChain) -> bytes:
        return text(_CHAIN_TABLE, self.name) + text(_CHAIN_NAME, chain.name)

    def _chain(self, body: bytes) -> DropChain | None:
        found = netlink.attributes(body, _HEADER.size)
        if netlink.read_text(found.get(_CHAIN_TABLE, b"")) != self.name:
            return None
        hook, _, device = netlink.read_text(found.get(_CHAIN_NAME, b"")).partition("-")
        if hook.upper() not in Hook.__members__:
            return None
        return DropChain(device, Hook[hook.upper()])


_COUNTED = nest(
    _CHAIN_COUNTERS,
    attribute(_COUNTER_BYTES, bytes(8)),
    attribute(_COUNTER_PACKETS, bytes(8)),
)
"""Makes a chain count the frames that its policy decides, which it otherwise does not."""


def _is_tampered(body: bytes) -> bool:
    found = netlink.attributes(body, _HEADER.size)
    policy = int.from_bytes(found.get(_CHAIN_POLICY, b""), "big")
    return policy != _DROP or any(found.get(_CHAIN_USE, b""))


class DropTableWatch:
    """A subscription to changes of a table by anybody else. One thread's.

    `others` are the names of further tables, of any family, of which removals are watched.
    """

    def __init__(self, table: DropTable, *others: str) -> None:
        self._name, self._names, self._own = table.name, {table.name, *others}, table.port
        self._netlink = Netlink(_PROTOCOL, [_GROUP_NFTABLES])
        self._ended, self._end = os.pipe()

    def close(self) -> None:
        """Close the socket; `losses` must have ended."""
        self._netlink.close()
        os.close(self._ended)
        os.close(self._end)

    def stop(self) -> None:
        """End `losses`; for another thread."""
        os.write(self._end, b".")

    def losses(self) -> Iterator[None]:
        """One item for each time that the table or its chains were changed, until `stop`."""
        poll = select.poll()
        poll.register(self._netlink.fileno(), select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while all(fd != self._ended for fd, _ in poll.poll()):
            if self._lost():
                yield None

    def _lost(self) -> bool:
        try:
            messages = self._netlink.notifications()
        except NetlinkError as error:
            if netlink.is_overflow(error):
                return True
            raise
        return any(self._is_loss(message) for message in messages)

    def _is_loss(self, message: Message) -> bool:
        if message.kind not in _REMOVING | _TAMPERING or message.cause == self._own:
            return False
        # The table's name is the first attribute of each.
        found = netlink.attributes(message.body, _HEADER.size)
        name = netlink.read_text(found.get(_TABLE_NAME, b""))
        return name == self._name or (name in self._names and message.kind in _REMOVING)


def _kind(message: int) -> int:
    return _SUBSYSTEM << 8 | message


_REMOVING = frozenset({_kind(_DELETE_TABLE), _kind(_DELETE_CHAIN)})
_TAMPERING = frozenset(
    {_kind(_NEW_TABLE), _kind(_NEW_CHAIN), _kind(_NEW_RULE), _kind(_DELETE_RULE)}
)


def _message(kind: int, body: bytes = b"", flags: int = 0) -> Message:
    return Message(_kind(kind), _HEADER.pack(_FAMILY, 0, 0) + body, flags | netlink.REQUEST)


def _bracket(kind: int) -> Message:
    return Message(kind, _HEADER.pack(socket.AF_UNSPEC, 0, _SUBSYSTEM), netlink.REQUEST)
