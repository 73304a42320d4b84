"""Names and ids: what a user types, what the API wants, and what a shell completes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from vifguard.cli.session import Session, session_of
from vifguard.client.resource import HOST, RBAC_POLICY, SECURITY_GROUP_RULE, Resource

Completer = Callable[[typer.Context, str], list[str]]


def find(session: Session, resource: Resource, name: str) -> dict[str, Any]:
    """The object with this id or name; a host goes by its name, a rule or policy by its id."""
    if resource in {HOST, SECURITY_GROUP_RULE, RBAC_POLICY}:
        return session.client.show(resource, name)
    return session.client.find(resource, name)


def id_of(session: Session, resource: Resource, name: str) -> str:
    """The id of the object with this id or name."""
    found: str = find(session, resource, name)["id"]
    return found


def ids_in(
    session: Session, resource: Resource, names: list[str] | None, project: str | None
) -> list[str] | None:
    """The ids of objects of a project, whose names others may use too; None is "not given"."""
    if names is None:
        return None
    filters = {} if project is None else {"project_id": project}
    return [session.client.find(resource, name, **filters)["id"] for name in names]


def names_of(session: Session, resource: Resource, **filters: str) -> Mapping[str, str]:
    """The name of each object by its id; for showing references."""
    found = session.client.list(resource, **filters)
    return {item["id"]: item["name"] or item["id"] for item in found}


def completer(resource: Resource) -> Completer:
    """Completes names; silent when the server cannot be asked within a second."""

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        try:
            session = session_of(context)
            names = [item.get("name") or item["id"] for item in session.client.list(resource)]
        except Exception:  # noqa: BLE001  a shell that completes must never show a traceback
            return []
        return [name for name in names if name.startswith(incomplete)]

    return complete
