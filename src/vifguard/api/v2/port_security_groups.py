"""The security groups of a port, as requests name them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vifguard.attributes.refusal import Refusal, conflict
from vifguard.attributes.rules import NETWORKS_OWN
from vifguard.attributes.schema import ParsedBody
from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroup
from vifguard.store.batch import Batch, Pending
from vifguard.store.nouns import security_groups
from vifguard.store.queries import visibility
from vifguard.store.transaction import WriteTransaction


@dataclass(frozen=True, slots=True)
class RequestedGroups:
    """The security groups that a request names, or where it names none the project's default.

    One of `named` and `default` is asked for, and the other None; neither for an empty list.
    """

    project_id: str
    named: Pending[list[SecurityGroup]] | None
    default: Pending[str | None] | None

    def ensure_default(self, change: WriteTransaction) -> str:
        """The id of the project's default group, which is made where there is none yet."""
        known = self.default.result() if self.default else None
        return known or security_groups.ensure_default(change, self.project_id)


def queue(batch: Batch, project_id: str, named: frozenset[str] | None) -> RequestedGroups:
    """Queue reading the groups that a request names; results raise MissingError."""
    return RequestedGroups(
        project_id,
        visibility.queue_security_groups(batch, project_id, named) if named else None,
        security_groups.queue_default(batch, project_id) if named is None else None,
    )


def for_new_port(
    change: WriteTransaction, port: Port, given: ParsedBody, groups: RequestedGroups
) -> frozenset[str] | None:
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
        _require_groups(port, groups.named.result() if groups.named else ())
    if asked is None and port.port_security_enabled:
        return frozenset({groups.ensure_default(change)})
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
        _require_groups(port, visibility.require_security_groups(change, port.project_id, asked))
    return {"security_groups": asked}


def _disabled(groups: frozenset[str]) -> Refusal:
    return conflict(
        "SecurityGroupsDisabled",
        f"security_groups {_quoted(groups)} filter nothing where security_groups_enabled is "
        "false; give no groups, or leave it true.",
    )


def _require_groups(port: Port, groups: Iterable[SecurityGroup]) -> None:
    """Groups are the project's own, all of one kind, and on a port that is filtered."""
    if not port.port_security_enabled:
        raise Refusal(
            400,
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use "
            "security groups.",
        )
    if len({group.stateful for group in groups}) > 1:
        raise conflict(
            "SecurityGroupConflict",
            "Error Cannot apply both stateful and stateless security groups on the same port at "
            "the same time while attempting the operation.",
        )


def _quoted(ids: frozenset[str]) -> str:
    return ", ".join(sorted(ids))
