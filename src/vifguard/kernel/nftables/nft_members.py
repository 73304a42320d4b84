"""A filter of nftables that passes frames only between the members of one set.

Bridge family: a frame that enters by a member of the set and leaves by another passes, and so
does one that concerns no member; any other is dropped. A frame that enters by a device outside
the set is not known to be for an adopted bridge until it is received there: so it is marked by a
priority, and dropped at the bridges that are named. Numbers on the wire are big-endian, values in
registers in host order (linux/netfilter/nf_tables.h).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from vifguard.kernel.net import netlink
from vifguard.kernel.net.netlink import Message, Netlink, NetlinkError, attribute, nest, text
from vifguard.kernel.nftables.nft_member_chains import (
    FORWARDING,
    POLICY,
    SET,
    Chain,
    FoundChain,
    are_as_written,
    counted,
    listed,
    receiving,
    u32,
)

_PROTOCOL, _SUBSYSTEM = 12, 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _GET_CHAIN = range(5)
_NEW_RULE, _GET_RULE, _NEW_SET = 6, 7, 9
_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = 12, 13, 14
_BRIDGE, _NETDEV = 7, 5
_HEADER = struct.Struct("!BBH")
_MADE = _NEW_TABLE, netlink.CREATE
_IFINDEX = 20
"""The type that `nft list` calls iface_index."""


class MembersTable:
    """One filter of members; `name` is that of its tables. One thread's."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._netlink = Netlink(_PROTOCOL)

    def close(self) -> None:
        """Close the socket; the filter stays."""
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def members(self) -> frozenset[int] | None:
        """The indexes of the devices in the set; None where nothing filters by it.

        That is so where the set, its table or a chain is gone, and where somebody changed them:
        the chains must have the rules that `make` writes, and no other.
        """
        if not are_as_written(self._chains(_BRIDGE), FORWARDING):
            return None
        return self._inside()

    def held(self) -> frozenset[int]:
        """The indexes in the set, even if no chain filters by it; empty where there is none."""
        return self._inside() or frozenset()

    def bridges(self) -> frozenset[str]:
        """The bridges with the filter's chain for received frames, by name."""
        here = self._chains(_NETDEV)
        return frozenset(
            name for name, found in here.items() if are_as_written({name: found}, [receiving(name)])
        )

    def make(self, bridges: Iterable[str], members: Iterable[int]) -> None:
        """Make the filter for bridges by name and a set of devices, in place of any former one.

        In one step: the former filter works until the new one does.
        """
        tables = [
            _message(kind, family, self._table(), flags)
            for family in (_BRIDGE, _NETDEV)
            # A table that is not there cannot be deleted: so it is made, deleted, and made.
            for kind, flags in (_MADE, (_DELETE_TABLE, 0), _MADE)
        ]
        chains = [(_BRIDGE, chain) for chain in FORWARDING]
        chains += [(_NETDEV, receiving(bridge)) for bridge in sorted(bridges)]
        self._transact(
            [
                *tables,
                self._new_set(),
                *self._elements(_NEW_ELEMENT, members),
                *(each for family, chain in chains for each in self._addition(family, chain)),
            ]
        )

    def change(self, add: Iterable[int] = (), remove: Iterable[int] = ()) -> None:
        """Put devices into the set and take them out; one already in or out is no error."""
        add, remove = frozenset(add), frozenset(remove)
        here = self.held()
        messages = [
            *self._elements(_DELETE_ELEMENT, remove & here),
            *self._elements(_NEW_ELEMENT, add - here),
        ]
        if messages:
            self._transact(messages)

    def dropped(self) -> int:
        """The number of frames that the filter has dropped since it was made."""
        return sum(
            counted(netlink.attributes(answer.body, _HEADER.size).get(4, b""))
            for family in (_BRIDGE, _NETDEV)
            for answer in self._rules(family)
        )

    def remove(self) -> None:
        """Remove the filter; one that is gone already is no error."""
        for family in (_BRIDGE, _NETDEV):
            try:
                self._transact([_message(_DELETE_TABLE, family, text(1, self._name))])
            except NetlinkError as error:
                if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                    raise

    def _inside(self) -> frozenset[int] | None:
        answers = self._dump(_GET_ELEMENT, _BRIDGE, self._table() + text(2, SET))
        if answers is None:
            return None
        found = (netlink.attributes(answer.body, _HEADER.size) for answer in answers)
        return frozenset(index for each in found for index in _indexes(each.get(3, b"")))

    def _chains(self, family: int) -> Mapping[str, FoundChain]:
        """The chains of one of the tables; none where the table is dormant (`flags dormant`)."""
        tables = self._named(self._dump(_GET_TABLE, family))
        if not tables or any(tables[0].get(2, b"")):
            return {}
        rules: dict[str, list[bytes]] = {}
        for each in self._named(self._rules(family)):
            chain = netlink.read_text(each.get(2, b""))
            rules.setdefault(chain, []).append(each.get(4, b""))
        chains = self._named(self._dump(_GET_CHAIN, family))
        names = ((netlink.read_text(each.get(3, b"")), each) for each in chains)
        return {name: FoundChain(each, rules.get(name, [])) for name, each in names}

    def _named(self, answers: Iterable[Message] | None) -> list[dict[int, bytes]]:
        """The attributes of the answers of this table, whose name is the first attribute."""
        found = (netlink.attributes(each.body, _HEADER.size) for each in answers or ())
        return [each for each in found if netlink.read_text(each.get(1, b"")) == self._name]

    def _rules(self, family: int) -> list[Message]:
        return self._dump(_GET_RULE, family, self._table()) or []

    def _dump(self, kind: int, family: int, body: bytes = b"") -> list[Message] | None:
        """The answers to a dump; None where there is no such table, or no nftables."""
        try:
            return self._netlink.dump(_message(kind, family, body))
        except NetlinkError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.EAFNOSUPPORT):
                return None
            raise

    def _table(self) -> bytes:
        return text(1, self._name)

    def _new_set(self) -> Message:
        body = self._table() + text(2, SET) + u32(3, 0) + u32(4, _IFINDEX) + u32(5, 4)
        return _message(_NEW_SET, _BRIDGE, body + u32(10, 1) + _SHOWN, netlink.CREATE)

    def _elements(self, kind: int, indexes: Iterable[int]) -> list[Message]:
        elements = [
            nest(1, nest(1, attribute(1, struct.pack("=I", each)))) for each in sorted(indexes)
        ]
        head = self._table() + text(2, SET)
        return [_message(kind, _BRIDGE, head + nest(3, *elements), netlink.CREATE)] * bool(elements)

    def _addition(self, family: int, chain: Chain) -> Iterator[Message]:
        hook = [attribute(kind, value) for kind, value in chain.hook.items()]
        body = self._table() + text(3, chain.name) + nest(4, *hook) + u32(5, POLICY)
        yield _message(_NEW_CHAIN, family, body + text(7, "filter"), netlink.CREATE)
        for rule in chain.rules:
            body = self._table() + text(2, chain.name) + nest(4, *rule)
            yield _message(_NEW_RULE, family, body, netlink.CREATE | netlink.APPEND)

    def _transact(self, messages: list[Message]) -> None:
        last = messages[-1]
        messages = [*messages[:-1], last._replace(flags=last.flags | netlink.ACK)]
        self._netlink.transact([_bracket(_BATCH_BEGIN), *messages, _bracket(_BATCH_END)])


def _message(kind: int, family: int, body: bytes, flags: int = 0) -> Message:
    header = _HEADER.pack(family, 0, 0)
    return Message(_SUBSYSTEM << 8 | kind, header + body, flags | netlink.REQUEST)


def _bracket(kind: int) -> Message:
    return Message(kind, _HEADER.pack(0, 0, _SUBSYSTEM), netlink.REQUEST)


# Only for nft(8), which otherwise shows the indexes in the other order of bytes.
_SHOWN = attribute(13, struct.pack("=BBI", 0, 4, 1))


def _indexes(elements: bytes) -> Iterator[int]:
    """The keys of a set's elements."""
    for element in listed(elements):
        key = netlink.attributes(netlink.attributes(element).get(1, b"")).get(1, b"")
        if len(key) == 4:
            yield struct.unpack("=I", key)[0]
