"""Worlds as data: networks, guests and IP groups, in the words of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATOR = ""
"""The project of the operator's nouns."""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A network and its subnets, by cidr.

    The operator's networks are shared, a project's are its own. With `uplink` the
    network leads out of the host; `body` holds further fields, `subnet_body` those of the
    subnet of a family.
    """

    name: str
    cidrs: tuple[str, ...] = ()
    project: str = OPERATOR
    uplink: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    subnet_body: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NicPlan:
    """An interface of a guest.

    `families` are the versions of IP that its port gets an address of, and its guest is
    given; `body` are fields that its project sets, `by_operator` those that only the operator
    may. A `silent` interface has no addresses inside the guest: its stack sends nothing.
    `security_groups` are by name; a port without any has no guard `groups`. Without `offloads`
    the guest takes complete frames only.
    """

    network: str
    families: tuple[int, ...] = (4, 6)
    body: Mapping[str, Any] = field(default_factory=dict)
    by_operator: Mapping[str, Any] = field(default_factory=dict)
    silent: bool = False
    offloads: bool = True
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """A guest of a project."""

    name: str
    project: str
    nics: tuple[NicPlan, ...]


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """An IP group with one address of each family of its network; members by guest.

    With a link-local address besides, the operator makes it for the project.
    """

    name: str
    project: str
    network: str
    members: tuple[str, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    link_local: str = ""


@dataclass(frozen=True, slots=True)
class SecurityGroupPlan:
    """A security group whose members may open connections, or (`speaks` false) only answer.

    Each of `rules` lets something in, of both families; `remote` in it names a security group.
    Stateful, unless `body` sets otherwise.
    """

    name: str
    project: str
    rules: tuple[Mapping[str, Any], ...] = ()
    speaks: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """Everything that stands before a story begins."""

    name: str
    networks: tuple[NetworkPlan, ...] = ()
    guests: tuple[GuestPlan, ...] = ()
    groups: tuple[GroupPlan, ...] = ()
    security_groups: tuple[SecurityGroupPlan, ...] = ()

    @property
    def projects(self) -> tuple[str, ...]:
        """The projects that have something in it, but the operator's."""
        named = {network.project for network in self.networks}
        named |= {guest.project for guest in self.guests}
        named |= {group.project for group in self.groups}
        return tuple(sorted(named - {OPERATOR}))
