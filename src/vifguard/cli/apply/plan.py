"""From a file and a server to the steps between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vifguard.cli.apply import quotas
from vifguard.cli.apply.declaration import (
    DeclarationError,
    Declared,
    declared_objects,
    named_projects,
)
from vifguard.cli.apply.diff import Present, Step, difference
from vifguard.cli.apply.load import DocumentError, RepeatedKeyError, read_document
from vifguard.cli.apply.prune import Kept, surplus
from vifguard.cli.apply.schema import NOUN_OF
from vifguard.cli.apply.separate_requests import SHARED, with_targets
from vifguard.cli.exit_codes import InputError
from vifguard.client.client import Client
from vifguard.client.errors import ClientError, NotAllowedError
from vifguard.client.resource import RBAC_POLICY


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps to the state that a file declares, and the names of present objects by id.

    `kept` are the objects that would be pruned, but for others that refer to them.
    """

    steps: tuple[Step, ...]
    names: Mapping[str, str]
    kept: tuple[Kept, ...] = ()


def plan(client: Client, file: Path, *, prune: bool) -> Plan:
    """The steps after which the server holds the state that the file declares.

    Raises InputError with all faults of the file; changes nothing.
    """
    problems: list[str] = []
    document = _document(file, problems)
    declared = _declared(document, problems)
    projects = named_projects(document)
    try:
        problems += _of_others(client, projects)
        present = _present(client, declared)
    except ClientError:
        if not problems:
            raise
        raise _faulty(file, problems) from None
    try:
        steps = difference(declared, present)
    except DeclarationError as error:
        problems += error.problems
    if problems:
        raise _faulty(file, problems)
    names = {one["id"]: one["name"] for found in present.values() for one in found}
    deleted, kept = surplus(projects, declared, present, steps) if prune else ((), ())
    return Plan((*steps, *deleted), names, kept)


def _document(file: Path, problems: list[str]) -> Any:
    """The content of a file; of a key that is there twice the first, and a problem."""
    try:
        return read_document(file)
    except RepeatedKeyError as error:
        problems += error.problems
        return error.content
    except DocumentError as error:
        raise InputError(f"{error}\nnothing was changed") from None


def _declared(document: Any, problems: list[str]) -> tuple[Declared, ...]:
    """The objects of a document that could be read; mistakes in others go to `problems`."""
    try:
        return declared_objects(document)
    except DeclarationError as error:
        problems += error.problems
        return error.objects


def _of_others(client: Client, projects: frozenset[str]) -> list[str]:
    """A problem for each project in which this user changes nothing; the operator has none."""
    own = client.call("GET", "quotas/project")["project"]["project_id"]
    others = sorted(projects - {own})
    if not others or _is_operator(client):
        return []
    return [
        f"projects.{each}: project {each} is not yours: you are of project {own}" for each in others
    ]


def _is_operator(client: Client) -> bool:
    """Whether this user may read every project's quotas, as the operator alone may."""
    try:
        client.call("GET", "quotas")
    except NotAllowedError:
        return False
    return True


def _present(client: Client, declared: Sequence[Declared]) -> Present:
    """The server's objects, as far as this user may see them."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for resource in NOUN_OF.keys() - {quotas.QUOTA}:
        if resource.path not in lists:
            lists[resource.path] = client.list(resource)
    policies = client.list(RBAC_POLICY)
    for resource in SHARED:
        lists[resource.path] = with_targets(lists[resource.path], policies)
    projects = [one.project for one in declared if one.resource == quotas.QUOTA]
    lists[quotas.QUOTA.path] = quotas.of_projects(client, projects)
    return {resource: lists[resource.path] for resource in NOUN_OF}


def _faulty(file: Path, problems: Sequence[str]) -> InputError:
    count = len(problems)
    head = f"{file} has {count} mistake{'s' if count > 1 else ''}; nothing was changed:"
    return InputError("\n  ".join([head, *problems]))
