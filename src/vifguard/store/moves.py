"""A port comes, goes or changes: what that means for its security groups, and for who follows them.

First is asked what must be known, together with all else that a change asks; then it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import bindparam, delete, insert

from vifguard.model.port import Port
from vifguard.resolve.policy import effective_security_groups
from vifguard.store import followers, sets
from vifguard.store.prepared import Prepared
from vifguard.store.tables import port_security_groups
from vifguard.store.transaction import Change

_JOIN = Prepared(insert(port_security_groups))
_LEAVE = Prepared(
    delete(port_security_groups).where(
        port_security_groups.c.port_id == bindparam("this"),
        port_security_groups.c.group_id == bindparam("group"),
    )
)


class Move:
    """What a port was, None where it comes, and what it becomes, None where it goes.

    Its addresses may still be open. `member_of` are the IP groups it is a member of.
    """

    def __init__(
        self,
        change: Change,
        before: Port | None,
        after: Port | None,
        member_of: Sequence[str] = (),
    ) -> None:
        self._change = change
        self._before = before
        self._member_of = member_of
        self._counts = (
            followers.ask_counts(change, before, after) if followers.moves(before, after) else None
        )
        named = {
            group
            for port in (before, after)
            if port is not None
            for group in effective_security_groups(port)
        }
        self._following = sets.ask_following(change, named) if named else None

    def write(self, after: Port | None) -> None:
        """Write which security groups it has, and tell who follows them of its addresses."""
        change, before = self._change, self._before
        if before is not None and after is not None:
            # What is no longer learned was taken out of the sets where it was released.
            before = replace(before, learned=after.learned)
        _write_groups(change, before, after)
        if self._counts is not None:
            followers.move(change, before, after, self._counts())
        this = after or before
        if this is None or self._following is None:
            return
        brought, brings = sets.of_port(before), sets.of_port(after)
        sets.bring(change, this.id, brought, brings, self._following, this.network_id)
        if before is None or after is None:
            return  # who comes or goes is a member of no IP group
        was, is_now = map(effective_security_groups, (before, after))
        if was != is_now:
            for ip_group in self._member_of:
                others = partial(sets.of_ip_group, change, ip_group, but=this.id)
                sets.bring(change, ip_group, others(plus=was), others(plus=is_now))


def _write_groups(change: Change, before: Port | None, after: Port | None) -> None:
    had = (before and before.security_groups) or frozenset()
    has = (after and after.security_groups) or frozenset()
    this = after or before
    if this is None:
        return
    if gone := sorted(had - has):
        change.write(_LEAVE, [{"this": this.id, "group": group_id} for group_id in gone])
    if come := sorted(has - had):
        change.write(_JOIN, [{"port_id": this.id, "group_id": group_id} for group_id in come])
