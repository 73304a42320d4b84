"""RBAC policies: which other projects may use an object of a project."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EVERY_PROJECT: Final = "*"
"""The target that means every project."""


class Sharable(StrEnum):
    """The kinds of objects that can be shared, in Neutron's words."""

    NETWORK = "network"
    SECURITY_GROUP = "security_group"
    ADDRESS_GROUP = "address_group"
    SUBNET_POOL = "subnetpool"


@dataclass(frozen=True, slots=True)
class RbacPolicy:
    """A permission for one project, or every one, to see and use one object, not to change it.

    `project_id` shares the object with `target`.
    """

    id: str
    project_id: str
    kind: Sharable
    object_id: str
    target: str
