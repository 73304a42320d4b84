"""Security groups: the connections that a port may have, as rules that only ever allow.

A port has any number of groups; a packet is allowed if one of their rules allows it. No group,
no rule and an empty set of addresses allow nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID, uuid5

from vifguard.model.address import IPNetwork
from vifguard.model.verdict import Direction

PORTS_OF = frozenset({6, 17, 33, 132, 136})
"""The protocols whose rules may name ports: TCP, UDP, DCCP, SCTP, UDP-Lite."""

ICMP_OF = {4: 1, 6: 58}
"""The protocol of each IP version whose rules may name a type and a code."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """Destination ports, both ends included; zero is a port."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 0xFFFF:
            raise ValueError(f"{self.low} to {self.high} is not a range of ports within 0 to 65535")

    def __contains__(self, port: int) -> bool:
        return self.low <= port <= self.high


@dataclass(frozen=True, slots=True)
class IcmpType:
    """An ICMP type, and one of its codes or, with None, all."""

    kind: int
    code: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.kind <= 0xFF or not 0 <= (self.code or 0) <= 0xFF:
            raise ValueError(
                f"ICMP type {self.kind} and code {self.code} are not both from 0 to 255"
            )


@dataclass(frozen=True, slots=True)
class Rule:
    """Connections that may be opened in one direction, with one IP version.

    `protocol` None is any, 0 is a protocol like others. `ports` are the destination ports of
    the opening packet. `remote` is a prefix, or the id of a set of addresses (a group's
    members, an address group); None is anywhere.
    """

    direction: Direction
    version: int
    protocol: int | None = None
    ports: PortRange | None = None
    icmp: IcmpType | None = None
    remote: IPNetwork | str | None = None

    def __post_init__(self) -> None:
        if self.version not in (4, 6):
            raise ValueError(f"IP version {self.version} is neither 4 nor 6")
        if self.protocol is not None and not 0 <= self.protocol <= 0xFF:
            raise ValueError(f"IP protocol {self.protocol} is not from 0 to 255")
        if self.ports is not None and self.protocol not in PORTS_OF:
            raise ValueError(f"protocol {self.protocol} has no ports")
        if self.icmp is not None and self.protocol != ICMP_OF[self.version]:
            raise ValueError(f"protocol {self.protocol} of IPv{self.version} has no ICMP types")
        version = getattr(self.remote, "version", self.version)
        if version != self.version:
            raise ValueError(f"{self.remote} is not of IPv{self.version}")

    @property
    def range(self) -> tuple[int | None, int | None]:
        """The ends of its ports, or its ICMP type and code; None for any."""
        if self.ports is not None:
            return self.ports.low, self.ports.high
        return (None, None) if self.icmp is None else (self.icmp.kind, self.icmp.code)

    def canonical(self) -> Rule:
        """The same meaning in one form: a prefix that holds every address is no remote."""
        if self.remote is None or isinstance(self.remote, str) or self.remote.prefixlen:
            return self
        return replace(self, remote=None)


@dataclass(frozen=True, slots=True)
class SetChange:
    """The prefixes of an address set: all in `added` if it is `complete`, else a delta."""

    complete: bool
    added: frozenset[IPNetwork]
    removed: frozenset[IPNetwork] = frozenset()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Rules and address sets of a host: rules by group, prefixes by set. A missing id is empty."""

    rules: Mapping[str, frozenset[Rule]] = field(default_factory=dict)
    sets: Mapping[str, frozenset[IPNetwork]] = field(default_factory=dict)


DEFAULT = "default"
"""The name of the group that a project's ports have where no other was chosen."""


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """Rules that the ports of one project may share, and the addresses of its member ports.

    Addresses that members share by an IP group are among them, whichever member holds one.
    The id is also that of the set of these addresses. A port's groups are all stateful, or
    none is. With `reject` a peer that a port turns away gets a RST or an ICMP error; one group
    of a port is enough. `is_default` marks the group that new ports of the project get.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    stateful: bool = True
    reject: bool = False
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class SecurityGroupRule:
    """A rule as a noun of its own: it belongs to a group and means `rule`.

    `protocol` is the rule's protocol in the owner's word (`tcp`, `6`); None is any. `written` is
    its remote prefix as its owner wrote it, with host bits. A remote set is an address group's
    with `of_address_group`, else a security group's.
    """

    id: str
    project_id: str
    group_id: str
    rule: Rule
    protocol: str | None = None
    description: str = ""
    of_address_group: bool = False
    written: str = ""


@dataclass(frozen=True, slots=True)
class AddressGroup:
    """Prefixes under one name, for rules to refer to; the id is that of their set."""

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    addresses: frozenset[IPNetwork] = frozenset()


MEMBERS = "PARENT"
"""The remote of a default rule that means the members of the group that gets the rule."""


_DEFAULT_GROUPS: Final = UUID("0b9f6c1e-5f5b-4b0e-9a57-6f0f7f0f3d52")
"""The name space of the ids of projects' default groups."""


def default_group(project_id: str) -> SecurityGroup:
    """The default group of a project, under the id that follows from the project's."""
    return SecurityGroup(
        id=str(uuid5(_DEFAULT_GROUPS, project_id)),
        project_id=project_id,
        name=DEFAULT,
        description="Default security group",
        is_default=True,
    )


@dataclass(frozen=True, slots=True)
class DefaultRule:
    """A rule that every new group begins with: a project's default one, others, or both."""

    id: str
    rule: Rule
    protocol: str | None = None
    description: str = ""
    in_default: bool = False
    in_others: bool = True

    def begins(self, group: SecurityGroup) -> bool:
        """Whether a new group has the rule."""
        return self.in_default if group.is_default else self.in_others

    def of(self, group: SecurityGroup) -> SecurityGroupRule:
        """The rule that a new group gets from it; its id follows from those of both."""
        rule_id = str(uuid5(UUID(group.id), self.id))
        rule = replace(self.rule, remote=group.id) if self.rule.remote == MEMBERS else self.rule
        return SecurityGroupRule(rule_id, group.project_id, group.id, rule, self.protocol)
