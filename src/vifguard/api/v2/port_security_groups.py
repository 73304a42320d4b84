"""The security groups of a port, as requests name them."""

from __future__ import annotations

from typing import Any

from vifguard.attributes.refusal import Refusal, conflict
from vifguard.attributes.rules import NETWORKS_OWN
from vifguard.attributes.schema import ParsedBody
from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroup
from vifguard.store.nouns import security_groups
from vifguard.store.queries import visibility
from vifguard.store.transaction import WriteTransaction


class RequestedGroups:
    """The security groups that a request names, or where it names none the project's default."""

    def __init__(
        self, change: WriteTransaction, project_id: str, named: frozenset[str] | None
    ) -> None:
        self._change = change
        self._project_id = project_id
        self._named = visibility.queue_security_groups(change, project_id, named) if named else None
        self._default = security_groups.queue_default(change, project_id) if named is None else None

    def named(self) -> list[SecurityGroup]:
        """The groups that are named; raises MissingError."""
        return self._named() if self._named else []

    def default(self) -> str:
        """The id of the project's default group, which is made where there is none yet."""
        known = self._default() if self._default else None
        return known or security_groups.ensure_default(self._change, self._project_id)


def for_new_port(port: Port, given: ParsedBody, groups: RequestedGroups) -> frozenset[str] | None:
    """The groups of a new port, where there are any: by default, that of its project.

    The features of hosts do not matter: one that cannot enforce groups holds the port closed. A
    port of the network's own, which only the operator makes on a shared one, has none where none
    is named.
    """
    asked, enabled = given["security_groups"], given["security_groups_enabled"]
    if asked and enabled is False:
        raise _disabled(asked)
    if enabled is None and asked is None and port.device_owner.startswith(NETWORKS_OWN):
        enabled = False
    if enabled is False:
        return None
    if asked:
        _require_groups(port, groups)
    if asked is None and port.port_security_enabled:
        return frozenset({groups.default()})
    return asked or frozenset()


def for_update(change: WriteTransaction, port: Port, given: ParsedBody) -> dict[str, Any]:
    """The changes of a request to a port's groups; `port` has its other changes already."""
    has, asked = port.security_groups, given.get("security_groups")
    enabled = given.get("security_groups_enabled")
    if enabled is False:
        if asked:
            raise _disabled(asked)
        return {"security_groups": None}
    if enabled and has is None and asked is None:
        asked = frozenset({security_groups.ensure_default(change, port.project_id)})
    if asked is None:
        if has and not port.port_security_enabled:
            raise conflict(
                "PortSecurityPortHasSecurityGroup",
                "Port has security group associated. Cannot disable port security or IP address "
                "until security group is removed.",
            )
        return {}
    if asked:
        _require_groups(port, RequestedGroups(change, port.project_id, asked))
    return {"security_groups": asked}


def _disabled(groups: frozenset[str]) -> Refusal:
    return conflict(
        "SecurityGroupsDisabled",
        f"security_groups {_quoted(groups)} filter nothing where security_groups_enabled is "
        "false; give no groups, or leave it true.",
    )


def _require_groups(port: Port, groups: RequestedGroups) -> None:
    """Groups are the project's own, all of one kind, and on a port that is filtered."""
    if not port.port_security_enabled:
        raise Refusal(
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use "
            "security groups.",
        )
    if len({group.stateful for group in groups.named()}) > 1:
        raise conflict(
            "SecurityGroupConflict",
            "Error Cannot apply both stateful and stateless security groups on the same port at "
            "the same time while attempting the operation.",
        )


def _quoted(ids: frozenset[str]) -> str:
    return ", ".join(sorted(ids))
