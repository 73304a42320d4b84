"""Principals: callers as an authenticator knows them, and the roles that they have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UserRole(StrEnum):
    """A role that the server gives a principal."""

    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"
    SERVICE = "service"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller as an authenticator knows it; an agent is one host's, and names it."""

    name: str
    project_id: str
    roles: frozenset[UserRole]
    host: str = ""
