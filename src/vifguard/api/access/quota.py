"""Quotas of a project, whoever creates; the operator's own project is not counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from vifguard.attributes.quotas import ADDRESS_GROUP_ADDRESS, IP_ADDRESS, UNLIMITED
from vifguard.attributes.refusal import conflict
from vifguard.attributes.rules import User
from vifguard.model.noun import Noun
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


def check_quota(snapshot: Snapshot, user: User, noun: Noun, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` objects would exceed the project's quota."""
    queue_quota_check(snapshot, user, noun, project_id, more)()


def queue_quota_check(
    snapshot: Snapshot, user: User, noun: Noun, project_id: str, more: int
) -> Callable[[], None]:
    """Queue a check that raises Refusal (409) where `more` objects would exceed the quota."""
    return _queue_check(snapshot, user, noun, project_id, more)


def check_address_quota(snapshot: Snapshot, user: User, project_id: str, more: int) -> None:
    """Raise Refusal (409) where `more` addresses in address groups would exceed the quota."""
    _queue_check(snapshot, user, ADDRESS_GROUP_ADDRESS, project_id, more)()


def queue_own_address_check(snapshot: Snapshot, user: User, project_id: str) -> Callable[[], None]:
    """Queue a check that, called once addresses are taken, raises Refusal (409) over the quota."""
    return _queue_check(snapshot, user, IP_ADDRESS, project_id, 0)


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


def _queue_check(
    snapshot: Snapshot, user: User, resource: str, project_id: str, more: int
) -> Callable[[], None]:
    if user.is_operator and project_id == user.project_id:
        return lambda: None
    own = quotas.queue_limit(snapshot, project_id, resource)

    def hear() -> None:
        limit = own()
        most = default_quotas()[resource] if limit is None else limit
        has = usage.used(snapshot, project_id, resource) if most != UNLIMITED else 0
        if most != UNLIMITED and has + more > most:
            raise conflict(
                "OverQuota",
                f"Quota exceeded for resources: ['{resource}']. Project {project_id} has {has} of "
                f"{most}; delete some, or ask the operator.",
            )

    return hear
