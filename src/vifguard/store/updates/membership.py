"""Membership of a port in security groups, and its effect on subscriptions and address sets.

The queries are queued first, together with all others of a change; then the rows are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.resolve.policy import effective_security_groups
from vifguard.store.database.statements import Statement
from vifguard.store.schema.tables import port_security_groups
from vifguard.store.transaction import WriteTransaction
from vifguard.store.updates import address_sets, subscriptions

_ADD_MEMBER = Statement(insert(port_security_groups))
_REMOVE_MEMBER = Statement(
    delete(port_security_groups).where(
        port_security_groups.c.port_id == bindparam("this"),
        port_security_groups.c.group_id == bindparam("group"),
    )
)


class MembershipChange:
    """A port before a change, None for a new one, and after it, None for a deleted one.

    Its addresses may still be open. `member_of` are the IP groups it is a member of.
    """

    def __init__(
        self,
        change: WriteTransaction,
        before: Port | None,
        after: Port | None,
        member_of: Sequence[str] = (),
    ) -> None:
        self._change = change
        self._before = before
        self._member_of = member_of
        self._counts = (
            subscriptions.queue_counts(change, before, after)
            if subscriptions.is_changed(before, after)
            else None
        )
        named = {
            group
            for port in (before, after)
            if port is not None
            for group in effective_security_groups(port)
        }
        self._subscribers = address_sets.queue_subscribers(change, named) if named else None

    def write(self, after: Port | None) -> None:
        """Write the port's security groups, subscriptions and contributions."""
        change, before = self._change, self._before
        if before is not None and after is not None:
            # An address no longer learned was taken out of the sets where it was released.
            before = replace(before, learned=after.learned)
        _write_groups(change, before, after)
        if self._counts is not None:
            subscriptions.update_counts(change, before, after, self._counts())
        this = after or before
        if this is None or self._subscribers is None:
            return
        old, new = (
            address_sets.contribution_of_port(before),
            address_sets.contribution_of_port(after),
        )
        address_sets.update_contribution(
            change, this.id, old, new, self._subscribers, this.network_id
        )
        if before is None or after is None:
            return  # a new or deleted port is a member of no IP group
        old_groups, new_groups = map(effective_security_groups, (before, after))
        if old_groups != new_groups:
            for ip_group in self._member_of:
                others = partial(
                    address_sets.contribution_of_ip_group, change, ip_group, but=this.id
                )
                address_sets.update_contribution(
                    change, ip_group, others(plus=old_groups), others(plus=new_groups)
                )


def _write_groups(change: WriteTransaction, before: Port | None, after: Port | None) -> None:
    old = (before and before.security_groups) or frozenset()
    new = (after and after.security_groups) or frozenset()
    this = after or before
    if this is None:
        return
    if removed := sorted(old - new):
        change.write(_REMOVE_MEMBER, [{"this": this.id, "group": group_id} for group_id in removed])
    if added := sorted(new - old):
        change.write(
            _ADD_MEMBER, [{"port_id": this.id, "group_id": group_id} for group_id in added]
        )
