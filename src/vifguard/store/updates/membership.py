"""Membership of a port in security groups, and its effect on subscriptions and address sets.

Its statements are sent in a batch, together with all others of a change; then rows are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.resolve.policy import effective_security_groups
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.schema.tables import port_security_groups
from vifguard.store.transaction import WriteTransaction
from vifguard.store.updates import address_sets, subscriptions

_ADD_MEMBER = Statement(insert(port_security_groups))
_REMOVE_MEMBER = Statement(
    delete(port_security_groups).where(
        port_security_groups.c.port_id == bindparam("port_id"),
        port_security_groups.c.group_id == bindparam("group_id"),
    )
)


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """A port before a change, None for a new one, and what is known of its groups.

    `member_of` are the IP groups it is a member of. `counts` are None where the port subscribes to
    the same as before, `subscribers` where it has no security group, before and after.
    """

    before: Port | None
    member_of: Sequence[str]
    counts: Pending[subscriptions.Counts] | None
    subscribers: Pending[address_sets.Subscribers] | None

    def write(self, change: WriteTransaction, after: Port | None) -> None:
        """Write the port's security groups, subscriptions and contributions."""
        before = self.before
        if before is not None and after is not None:
            # An address no longer learned was taken out of the sets where it was released.
            before = replace(before, learned=after.learned)
        _write_groups(change, before, after)
        if self.counts is not None:
            subscriptions.update_counts(change, before, after, self.counts.result())
        this = after or before
        if this is None or self.subscribers is None:
            return
        old, new = (
            address_sets.contribution_of_port(before),
            address_sets.contribution_of_port(after),
        )
        address_sets.update_contribution(
            change, this.id, old, new, self.subscribers.result(), this.network_id
        )
        if before is None or after is None:
            return  # a new or deleted port is a member of no IP group
        old_groups, new_groups = map(effective_security_groups, (before, after))
        if old_groups != new_groups:
            for ip_group in self.member_of:
                others = partial(
                    address_sets.contribution_of_ip_group, change, ip_group, left_out=this.id
                )
                address_sets.update_contribution(
                    change, ip_group, others(plus=old_groups), others(plus=new_groups)
                )


def queue(
    batch: Batch, before: Port | None, after: Port | None, member_of: Sequence[str] = ()
) -> MembershipChange:
    """Queue reading what a change of a port's groups needs; `after` is None for a deleted port.

    The addresses of `after` may still be open.
    """
    named = {
        group
        for port in (before, after)
        if port is not None
        for group in effective_security_groups(port)
    }
    is_changed = subscriptions.is_changed(before, after)
    return MembershipChange(
        before,
        member_of,
        subscriptions.queue_counts(batch, before, after) if is_changed else None,
        address_sets.queue_subscribers(batch, named) if named else None,
    )


def _write_groups(change: WriteTransaction, before: Port | None, after: Port | None) -> None:
    old = (before and before.security_groups) or frozenset()
    new = (after and after.security_groups) or frozenset()
    this = after or before
    if this is None:
        return
    if removed := sorted(old - new):
        change.write(
            _REMOVE_MEMBER, [{"port_id": this.id, "group_id": group_id} for group_id in removed]
        )
    if added := sorted(new - old):
        change.write(
            _ADD_MEMBER, [{"port_id": this.id, "group_id": group_id} for group_id in added]
        )
