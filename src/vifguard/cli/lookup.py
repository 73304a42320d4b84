"""Names and ids: names as a user types them, ids for the API, and completions for a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from vifguard.cli.session import Session, session_of
from vifguard.client.errors import AmbiguousError, NotFoundError
from vifguard.client.resource import (
    DEFAULT_RULE,
    EXTENSION,
    HOST,
    RBAC_POLICY,
    SECURITY_GROUP_RULE,
    ResourceType,
)

EVERY = "*"
"""The target of an RBAC policy that shares with every project."""

_WITHOUT_NAMES = frozenset({HOST, SECURITY_GROUP_RULE, DEFAULT_RULE, RBAC_POLICY, EXTENSION})

Completer = Callable[[typer.Context, str], list[str]]


def find(session: Session, resource: ResourceType, name: str) -> dict[str, Any]:
    """The object with this id or name; a rule or policy goes by its id, a host by its name."""
    if resource in _WITHOUT_NAMES:
        return session.client.show(resource, name)
    return session.client.find(resource, name)


def id_of(session: Session, resource: ResourceType, name: str) -> str:
    """The id of the object with this id or name."""
    found: str = find(session, resource, name)["id"]
    return found


def find_usable(
    session: Session, resource: ResourceType, name: str, project: str | None
) -> dict[str, Any]:
    """The object of this name that a project may refer to: its own, else one shared with it.

    Without a project, the user's own first, else whichever the user sees. Raises NotFoundError,
    AmbiguousError.
    """
    if project is None:
        return session.client.find(resource, name)
    try:
        return session.client.find(resource, name, project_id=project)
    except NotFoundError:
        targets = {"target_tenant": [project, EVERY]}
        policies = session.client.list(RBAC_POLICY, object_type=resource.singular, **targets)
        shared = {policy["object_id"] for policy in policies}
        found = [
            one
            for one in session.client.list(resource, name=name)
            if one["id"] in shared or one.get("shared")
        ]
        if len(found) > 1:
            raise AmbiguousError(resource.noun, name, found, len(found)) from None
        if not found:
            raise
        return found[0]


def ids_in(
    session: Session, resource: ResourceType, names: list[str], project: str | None
) -> list[str]:
    """The ids of objects that a project may refer to."""
    return [find_usable(session, resource, name, project)["id"] for name in names]


def names_of(session: Session, resource: ResourceType, **filters: str) -> Mapping[str, str]:
    """The name of each object by its id; for showing references."""
    found = session.client.list(resource, **filters)
    return {item["id"]: item["name"] or item["id"] for item in found}


def completer(resource: ResourceType) -> Completer:
    """Completes names; silent when the server cannot be asked within a second."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        try:
            session = session_of(context)
            names = [item.get("name") or item["id"] for item in session.client.list(resource)]
        except Exception:  # noqa: BLE001  a shell that completes must never show a traceback
            return []
        return [name for name in names if name.startswith(incomplete)]

    return complete
