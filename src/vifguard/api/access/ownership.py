"""Objects that a user may change, and not only see: the others are refused with 403."""

from __future__ import annotations

from vifguard.attributes.refusal import forbidden
from vifguard.attributes.rules import User
from vifguard.store.queries.visibility import address_group, security_group, subnet_pool
from vifguard.store.stored_nouns import StoredAddressGroup, StoredSecurityGroup, StoredSubnetPool
from vifguard.store.transaction import Snapshot


def own_security_group(snapshot: Snapshot, user: User, group_id: str) -> StoredSecurityGroup:
    """One security group that the user may change; raises MissingError, or Refusal (403)."""
    found = security_group(snapshot, user, group_id)
    require_owner(user, found.group.project_id, "security group", group_id)
    return found


def own_address_group(snapshot: Snapshot, user: User, group_id: str) -> StoredAddressGroup:
    """One address group that the user may change; raises MissingError, or Refusal (403)."""
    found = address_group(snapshot, user, group_id)
    require_owner(user, found.group.project_id, "address group", group_id)
    return found


def own_subnet_pool(snapshot: Snapshot, user: User, pool_id: str) -> StoredSubnetPool:
    """One subnet pool that the user may change; raises MissingError, or Refusal (403)."""
    found = subnet_pool(snapshot, user, pool_id)
    require_owner(user, found.pool.project_id, "subnet pool", pool_id)
    return found


def require_owner(user: User, project_id: str, noun: str, ident: str) -> None:
    """Raise Refusal (403) where the user sees an object that it may use and not change."""
    if not user.owns(project_id):
        raise forbidden(
            f"{noun.capitalize()} {ident} is another project's: it may be used, and changed only "
            f"by its owner or the operator."
        )
