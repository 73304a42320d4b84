"""Digests that name security groups, sets, scopes and classes of remotes in the kernel's maps.

Ids of an owner's choosing are never in the kernel. A remote prefix is the owner's choice too:
64 bits without a key are few enough to search for a prefix whose class is another rule's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction


@dataclass(frozen=True, slots=True)
class Digests:
    """The digests of one host, each 64 bits of BLAKE2b (RFC 7693).

    `key`: 1 to 64 octets that only this host knows; the same key gives the same digests.
    """

    key: bytes = field(repr=False)

    def group(self, group_id: str) -> int:
        """The digest of a security group; its lowest two bits are 0."""
        return self._of(b"group", group_id.encode()) & ~3

    def addresses(self, set_id: str, version: int) -> int:
        """The digest of a set's addresses of one IP version, which is the lowest bit."""
        return self._of(b"set", set_id.encode()) & ~1 | (version == 6)

    def scope(self, group_id: str, rule: Rule) -> int:
        """The digest common to the rules of a group in one direction and IP version."""
        is_to_guest, is_ipv6 = rule.direction is Direction.TO_GUEST, rule.version == 6
        return self.group(group_id) | is_to_guest << 1 | is_ipv6

    def remote_class(self, scope: int, remote: IPNetwork | str | None) -> int:
        """The digest of a rule's remotes in a scope: a prefix, a set by its id, or any address."""
        within = scope.to_bytes(8, "little")
        if isinstance(remote, str):
            return self._of(b"set", within, remote.encode())
        if remote is None or not remote.prefixlen:
            return self._of(b"any", within)
        network = bytes((remote.prefixlen,)) + remote.network_address.packed
        return self._of(b"prefix", within, network)

    def _of(self, *parts: bytes) -> int:
        hashed = blake2b(digest_size=8, key=self.key, person=b"vifguard")
        for part in parts:
            hashed.update(len(part).to_bytes(4, "little") + part)
        return int.from_bytes(hashed.digest(), "little")
