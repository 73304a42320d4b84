"""The table of policy: the scope of each action for each role. An unlisted action is denied.

`docs/policy.md` is printed from it; a test walks the router and tries every cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vifguard.api.access.principal import Principal, UserRole
from vifguard.attributes.rules import User


class Scope(StrEnum):
    """The reach of an action for a role."""

    NONE = "no"
    LOCAL = "here"
    HOST = "its host"
    OWN = "own"
    ALL = "all"


_NONE, _OWN_HOST, _OWN, _ALL = Scope.NONE, Scope.LOCAL, Scope.OWN, Scope.ALL
_SCOPES_WITH_ACCESS = (Scope.ALL, Scope.OWN, Scope.HOST)


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """One action by every role; `anonymous` is a caller that has not authenticated."""

    admin: Scope = _ALL
    member: Scope = _NONE
    reader: Scope = _NONE
    service: Scope = _NONE
    agent: Scope = _NONE
    anonymous: Scope = _NONE

    def scope(self, roles: Iterable[UserRole]) -> Scope:
        """The widest scope of the roles."""
        found = {self.of(role) for role in roles}
        return next((reach for reach in _SCOPES_WITH_ACCESS if reach in found), _NONE)

    def of(self, role: UserRole) -> Scope:
        """The scope of one role."""
        reach: Scope = getattr(self, role.value)
        return reach

    @property
    def is_open(self) -> bool:
        """Whether no authentication is needed, at least on this machine."""
        return self.anonymous is not _NONE

    @property
    def roles(self) -> list[str]:
        """The roles that may, in the order of the table."""
        return [role for role in ROLES[:-1] if getattr(self, role) in _SCOPES_WITH_ACCESS]


ROLES: Final = tuple(field.name for field in fields(ActionPolicy))
"""The columns of the table."""

_DENIED = ActionPolicy(admin=_NONE)
_READ = ActionPolicy(member=_OWN, reader=_OWN)
_FOUND = ActionPolicy(member=_OWN, reader=_OWN, service=_ALL)
_WRITE = ActionPolicy(member=_OWN)
_OPERATOR = ActionPolicy()
_AGENT = ActionPolicy(agent=Scope.HOST)
_OPEN = ActionPolicy(_ALL, _ALL, _ALL, _ALL, _ALL, _ALL)


def _crud(one: str, many: str) -> dict[str, ActionPolicy]:
    reads = {f"list_{many}": _READ, f"show_{one}": _READ}
    return reads | {f"{verb}_{one}": _WRITE for verb in ("create", "update", "delete")}


def _tags(one: str) -> dict[str, ActionPolicy]:
    reads = {f"list_{one}_tags": _READ, f"show_{one}_tag": _READ}
    verbs = ("add_{}_tags", "add_{}_tag", "replace_{}_tags", "remove_{}_tags", "remove_{}_tag")
    return reads | {verb.format(one): _WRITE for verb in verbs}


_TAGGED = (
    *("network", "subnet", "port", "ip_group"),
    *("security_group", "security_group_rule", "address_group", "subnetpool"),
)


ACTIONS: Mapping[str, ActionPolicy] = MappingProxyType(
    {
        **_crud("network", "networks"),
        **_crud("subnet", "subnets"),
        **_crud("port", "ports"),
        **_crud("ip_group", "ip_groups"),
        **_crud("security_group", "security_groups"),
        "list_security_group_rules": _READ,
        "show_security_group_rule": _READ,
        "create_security_group_rule": _WRITE,
        "delete_security_group_rule": _WRITE,
        # Every project's groups begin with them: the operator's to choose, everybody's to read.
        "list_default_security_group_rules": ActionPolicy(_ALL, _ALL, _ALL),
        "show_default_security_group_rule": ActionPolicy(_ALL, _ALL, _ALL),
        "create_default_security_group_rule": _OPERATOR,
        "delete_default_security_group_rule": _OPERATOR,
        **_crud("address_group", "address_groups"),
        "add_addresses": _WRITE,
        "remove_addresses": _WRITE,
        **_crud("rbac_policy", "rbac_policies"),
        **_crud("subnetpool", "subnetpools"),
        # Nothing of it is a project's own: its lists are empty.
        "list_network_ip_availabilities": _READ,
        "show_network_ip_availability": _READ,
        **{action: each for one in _TAGGED for action, each in _tags(one).items()},
        "list_quotas": _OPERATOR,
        **{f"show_quota{what}": _READ for what in ("", "_default", "_details")},
        **{f"show_quota_{word}": _READ for word in ("project", "tenant")},
        "update_quota": _OPERATOR,
        "delete_quota": _OPERATOR,
        # A hypervisor's hook, and Nova, find a port and its network, bind it and wait for it.
        **{f"list_{many}": _FOUND for many in ("networks", "subnets", "ports")},
        **{f"show_{one}": _FOUND for one in ("network", "subnet")},
        "show_port": _FOUND,
        "update_port": ActionPolicy(member=_OWN, service=_ALL),
        "release_learned_address": _WRITE,
        "wait_port": _FOUND,
        "list_port_drops": _READ,
        "list_ip_group_events": _READ,
        "list_drops": _READ,
        "list_agents": _READ,
        "show_agent": _READ,
        "delete_agent": _OPERATOR,
        "list_dhcp_networks": _READ,
        "list_dhcp_agents": _READ,
        "list_availability_zones": ActionPolicy(_ALL, _ALL, _ALL, _ALL),
        "list_hosts": _OPERATOR,
        "show_host": _OPERATOR,
        "delete_host": _OPERATOR,
        "show_capabilities": ActionPolicy(_ALL, _ALL, _ALL, _ALL),
        "list_extensions": ActionPolicy(_ALL, _ALL, _ALL, _ALL),
        "show_extension": ActionPolicy(_ALL, _ALL, _ALL, _ALL),
        "next_update": _AGENT,
        "deliver_report": _AGENT,
        # Read by clients before they authenticate.
        "versions": _OPEN,
        "version": _OPEN,
        "version_slash": _OPEN,
        "healthz": _OPEN,
        "readyz": _OPEN,
        # A scraper on this machine has no name; from elsewhere only the operator's counts.
        "metrics": ActionPolicy(_ALL, _OWN_HOST, _OWN_HOST, _OWN_HOST, _OWN_HOST, _OWN_HOST),
        "openapi": _OPEN,
    }
)
"""Every action, which is the name of its route."""


def action_policy(action: str) -> ActionPolicy:
    """The policy of an action; an unlisted one is denied to all."""
    return ACTIONS.get(action, _DENIED)


def user_of(principal: Principal, action: str) -> User | None:
    """The user that a principal is in an action; None where it may not do it.

    Only roles with access to the action count: a role may choose values in its own actions only.
    """
    allowed = action_policy(action)
    acting = {role for role in principal.roles if allowed.of(role) in _SCOPES_WITH_ACCESS}
    if not acting:
        return None
    return User(
        principal.name,
        principal.project_id,
        sees_all=allowed.scope(acting) is _ALL,
        is_owner=UserRole.MEMBER in acting,
        is_operator=UserRole.ADMIN in acting,
        may_bind=not acting.isdisjoint({UserRole.ADMIN, UserRole.SERVICE}),
        host=principal.host if UserRole.AGENT in acting else "",
    )
