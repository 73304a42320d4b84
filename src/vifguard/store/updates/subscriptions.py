"""Subscriptions of hosts to security groups and address sets, each since a revision.

A host follows a group while a port of it has the group, and a set while a rule of a group
that it follows refers to the set. It gets a group or set whole when it begins to follow it, then
the changes until it follows it no longer; when it begins again, whole again.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Insert,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    union,
    update,
)

from vifguard.model.port import Port
from vifguard.model.security_group import SecurityGroupRule
from vifguard.resolve.policy import effective_security_groups
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.schema.tables import (
    host_groups,
    host_sets,
    port_security_groups,
    ports,
    security_group_rules,
    security_groups,
)
from vifguard.store.transaction import Snapshot, WriteTransaction

_RULE = security_group_rules.c
_REVISION = bindparam("this_revision", type_=BigInteger)
_OF_HOST = host_groups.c.host == bindparam("this_host")
_OF_GROUP = host_groups.c.group_id == bindparam("this_group")

_COUNTS = Statement(
    select(host_groups.c.host, host_groups.c.group_id, host_groups.c.ports).where(
        in_list(host_groups.c.host, "hosts"), in_list(host_groups.c.group_id, "groups")
    )
)
_COUNT = Statement(
    update(host_groups).where(_OF_HOST, _OF_GROUP).values(ports=bindparam("this_many"))
)
_SUBSCRIBE = Statement(insert(host_groups))
_UNSUBSCRIBE = Statement(delete(host_groups).where(_OF_HOST, _OF_GROUP))


def _subscribe_sets(which: ColumnElement[bool]) -> Insert:
    """The statement that adds sets to which rules of followed groups refer, if not followed yet."""
    remote = func.coalesce(_RULE.remote_group_id, _RULE.remote_address_group_id)
    wanted = (
        select(host_groups.c.host, remote.label("set_id"))
        .join(security_group_rules, _RULE.group_id == host_groups.c.group_id)
        .where(which, remote.is_not(None))
        .distinct()
        .subquery()
    )
    known = exists().where(host_sets.c.host == wanted.c.host, host_sets.c.set_id == wanted.c.set_id)
    rows = select(wanted.c.host, wanted.c.set_id, _REVISION).where(~known)
    return insert(host_sets).from_select(["host", "set_id", "since"], rows)


_SUBSCRIBE_SETS = Statement(_subscribe_sets(and_(_OF_HOST, _OF_GROUP)))
_SUBSCRIBE_SETS_OF_RULES = Statement(_subscribe_sets(_OF_GROUP))
_SUBSCRIBE_SETS_OF_HOST = _subscribe_sets(_OF_HOST)

_REFERRING = (
    select(_RULE.id)
    .join(host_groups, host_groups.c.group_id == _RULE.group_id)
    .where(
        host_groups.c.host == host_sets.c.host,
        or_(
            _RULE.remote_group_id == host_sets.c.set_id,
            _RULE.remote_address_group_id == host_sets.c.set_id,
        ),
    )
)
_UNREFERRED = ~exists(_REFERRING)
_UNSUBSCRIBE_SETS = Statement(
    delete(host_sets).where(
        in_list(host_sets.c.set_id, "sets"), in_list(host_sets.c.host, "hosts"), _UNREFERRED
    )
)
_REMOTES = select(func.coalesce(_RULE.remote_group_id, _RULE.remote_address_group_id)).where(
    _RULE.group_id == bindparam("this_group")
)
_UNSUBSCRIBE_SETS_OF_GROUP = Statement(
    delete(host_sets).where(
        host_sets.c.host == bindparam("this_host"), host_sets.c.set_id.in_(_REMOTES), _UNREFERRED
    )
)
_HOSTS = Statement(select(host_groups.c.host).where(_OF_GROUP))

_NEW_OR_CHANGED = union(
    select(host_groups.c.group_id).where(
        host_groups.c.host == bindparam("host"), host_groups.c.since > bindparam("after")
    ),
    select(host_groups.c.group_id)
    .join(security_groups, security_groups.c.id == host_groups.c.group_id)
    .where(
        host_groups.c.host == bindparam("host"),
        security_groups.c.rules_revision > bindparam("after"),
    ),
)

_Subscription = tuple[str, str]
"""A host, and a group."""

Counts = dict[_Subscription, int]
"""The number of ports of a host that have a group."""


def queue_counts(batch: Batch, before: Port | None, after: Port | None) -> Pending[Counts]:
    """Queue reading the number of ports of each host that have these groups."""
    places = _subscriptions(before) ^ _subscriptions(after)
    hosts, groups = (sorted({place[part] for place in places}) for part in (0, 1))
    return batch.queue(
        _COUNTS,
        {"hosts": hosts, "groups": groups},
        lambda rows: {(row.host, row.group_id): row.ports for row in rows},
    )


def is_changed(before: Port | None, after: Port | None) -> bool:
    """Whether a port is added or removed, or has another host or other groups than before."""
    return _subscriptions(before) != _subscriptions(after)


def update_counts(
    change: WriteTransaction, before: Port | None, after: Port | None, counts: Counts
) -> None:
    """Subscribe and unsubscribe the hosts of a port, before and after a change."""
    old, new = _subscriptions(before), _subscriptions(after)
    for place in sorted(old - new):
        _unsubscribe(change, place, counts.get(place, 0))
    for place in sorted(new - old):
        _subscribe(change, place, counts.get(place, 0))


def rebuild(change: WriteTransaction, host: str) -> None:
    """Rebuild a host's subscriptions from its ports, after ports got their host in bulk."""
    for table in (host_groups, host_sets):
        change.connection.execute(delete(table).where(table.c.host == host))
    count = (
        select(ports.c.host, port_security_groups.c.group_id, func.count(), _REVISION)
        .join(ports, ports.c.id == port_security_groups.c.port_id)
        .where(ports.c.host == bindparam("this_host"), ports.c.port_security_enabled)
        .group_by(ports.c.host, port_security_groups.c.group_id)
    )
    here = {"this_host": host, "this_revision": change.revision}
    columns = ["host", "group_id", "ports", "since"]
    change.connection.execute(insert(host_groups).from_select(columns, count), here)
    change.connection.execute(_SUBSCRIBE_SETS_OF_HOST, here)


def rules_changed(
    change: WriteTransaction, group_id: str, removed: tuple[SecurityGroupRule, ...] = ()
) -> None:
    """Update subscriptions to sets after a change of a group's rules; notify the group's hosts."""
    this = {"this_group": group_id}
    hosts = [row.host for row in change.rows(_HOSTS, this)]
    if not hosts:
        return
    change.write(_SUBSCRIBE_SETS_OF_RULES, this | {"this_revision": change.revision})
    sets = sorted({each.rule.remote for each in removed if isinstance(each.rule.remote, str)})
    if sets:
        change.write(_UNSUBSCRIBE_SETS, {"sets": sets, "hosts": hosts})
    change.hosts_to_notify |= set(hosts)


def changed_groups(snapshot: Snapshot, host: str, after: int) -> frozenset[str]:
    """The groups whose rules a host must get; all that it follows, after BEFORE_ALL."""
    here = {"host": host, "after": after}
    return frozenset(snapshot.connection.scalars(_NEW_OR_CHANGED, here))


def _subscriptions(port: Port | None) -> set[_Subscription]:
    if port is None or not port.host:
        return set()
    return {(port.host, group_id) for group_id in effective_security_groups(port)}


def _subscribe(change: WriteTransaction, place: _Subscription, count: int) -> None:
    host, group_id = place
    this = {"this_host": host, "this_group": group_id}
    if count:
        change.write(_COUNT, this | {"this_many": count + 1})
        return
    row = {"host": host, "group_id": group_id, "ports": 1, "since": change.revision}
    change.write(_SUBSCRIBE, row)
    change.write(_SUBSCRIBE_SETS, this | {"this_revision": change.revision})


def _unsubscribe(change: WriteTransaction, place: _Subscription, count: int) -> None:
    host, group_id = place
    this = {"this_host": host, "this_group": group_id}
    if count > 1:
        change.write(_COUNT, this | {"this_many": count - 1})
        return
    change.write(_UNSUBSCRIBE, this)
    change.write(_UNSUBSCRIBE_SETS_OF_GROUP, this)
