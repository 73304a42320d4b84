"""Quotas of a project, whoever creates; the operator's own project is not counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vifguard.attributes.quotas import ADDRESS_GROUP_ADDRESS, IP_ADDRESS, UNLIMITED
from vifguard.attributes.refusal import conflict
from vifguard.attributes.rules import User
from vifguard.model.noun import Noun
from vifguard.store.batch import Batch, Pending
from vifguard.store.nouns import quotas
from vifguard.store.queries import usage
from vifguard.store.transaction import Snapshot

QUOTA: Mapping[Noun, int] = MappingProxyType(
    dict.fromkeys(Noun, 100) | {Noun.PORT: 500, Noun.SECURITY_GROUP_RULE: 4000}
)
"""The quotas of a project for which the operator set no others."""

ADDRESSES = 10_000
"""Of all address groups of a project."""

OWN_ADDRESSES = 1000
"""Of all ports and IP groups of a project; learned addresses are not counted."""


@dataclass(frozen=True, slots=True)
class QuotaCheck:
    """A check that `more` of a resource do not exceed a project's quota of it.

    `limit` is the quota that the operator set for the project. None: the project is not limited.
    """

    resource: str
    project_id: str
    more: int
    limit: Pending[int | None] | None

    def require(self, snapshot: Snapshot) -> None:
        """Raise Refusal (409) where they would exceed the quota."""
        if self.limit is None:
            return
        own = self.limit.result()
        most = default_quotas()[self.resource] if own is None else own
        if most == UNLIMITED:
            return
        has = usage.used(snapshot, self.project_id, self.resource)
        if has + self.more > most:
            raise conflict(
                "OverQuota",
                f"Quota exceeded for resources: ['{self.resource}']. Project {self.project_id} has "
                f"{has} of {most}; delete some, or ask the operator.",
            )


def queue_quota(batch: Batch, user: User, resource: str, project_id: str, more: int) -> QuotaCheck:
    """Queue reading a project's quota of a resource; the operator's own project has none."""
    is_limited = not (user.is_operator and project_id == user.project_id)
    limit = quotas.queue_limit(batch, project_id, resource) if is_limited else None
    return QuotaCheck(resource, project_id, more, limit)


def queue_own_addresses(batch: Batch, user: User, project_id: str) -> QuotaCheck:
    """Queue reading a project's quota of addresses; to be checked once they are taken."""
    return queue_quota(batch, user, IP_ADDRESS, project_id, 0)


def check_quota(snapshot: Snapshot, user: User, noun: Noun, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` objects would exceed the project's quota."""
    _check(snapshot, user, noun, project_id, more)


def check_address_quota(snapshot: Snapshot, user: User, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` addresses in address groups would exceed the quota."""
    _check(snapshot, user, ADDRESS_GROUP_ADDRESS, project_id, more)


def check_own_addresses(snapshot: Snapshot, user: User, project_id: str) -> None:
    """Raise Refusal (409) where the addresses that a project has taken exceed the quota."""
    _check(snapshot, user, IP_ADDRESS, project_id, 0)


def _check(snapshot: Snapshot, user: User, resource: str, project_id: str, more: int) -> None:
    with snapshot.batch() as batch:
        check = queue_quota(batch, user, resource, project_id, more)
    check.require(snapshot)


def default_quotas() -> dict[str, int]:
    """The quotas of a project that has none of its own."""
    return {
        **{noun.value: most for noun, most in QUOTA.items()},
        ADDRESS_GROUP_ADDRESS: ADDRESSES,
        IP_ADDRESS: OWN_ADDRESSES,
    }


def of_project(snapshot: Snapshot, project_id: str) -> dict[str, int]:
    """The quotas of a project."""
    return default_quotas() | quotas.of_project(snapshot, project_id)
