"""The quotas of a project as a file has them: a number for each resource, or null for any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from vifguard.attributes.quotas import RESOURCES, UNLIMITED
from vifguard.client.resource import ResourceType

if TYPE_CHECKING:
    from vifguard.client.client import Client

QUOTA: Final = ResourceType("quota", "quota", "quotas", "quotas")
"""All quotas of one project, as one thing: it goes by the project."""

KEYS: Final = tuple(RESOURCES)


def limit(value: Any) -> Any:
    """The API's number for a file's: null is any."""
    return UNLIMITED if value is None else value


def of_projects(client: Client, projects: Sequence[str]) -> list[dict[str, Any]]:
    """The quotas of these projects, each as an object that goes by its project."""
    return [
        {**client.show(QUOTA, project), "id": project, "project_id": project, "name": ""}
        for project in projects
    ]
