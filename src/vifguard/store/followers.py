"""Which hosts follow which security groups and sets, and since which revision.

A host follows a group while a port of it has the group, and a set while a rule of a group
that it follows refers to the set. What it begins to follow it is told whole, later what
changes; what it follows no longer it is told no more, and whole when it begins again.
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
from vifguard.resolve.policy import governing
from vifguard.store.tables import (
    host_groups,
    host_sets,
    port_security_groups,
    ports,
    security_group_rules,
    security_groups,
)
from vifguard.store.transaction import Change, Snapshot

_RULE = security_group_rules.c
_REVISION = bindparam("this_revision", type_=BigInteger)
_OF_HOST = host_groups.c.host == bindparam("this_host")
_OF_GROUP = host_groups.c.group_id == bindparam("this_group")

_ONE_MORE = update(host_groups).where(_OF_HOST, _OF_GROUP).values(ports=host_groups.c.ports + 1)
_ONE_LESS = (
    update(host_groups)
    .where(_OF_HOST, _OF_GROUP)
    .values(ports=host_groups.c.ports - 1)
    .returning(host_groups.c.ports)
)
_BEGIN = insert(host_groups)
_END = delete(host_groups).where(_OF_HOST, _OF_GROUP)


def _begin_sets(which: ColumnElement[bool]) -> Insert:
    """Begin to follow what rules of followed groups refer to, where that is not so already."""
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


_BEGIN_SETS = _begin_sets(and_(_OF_HOST, _OF_GROUP))
_BEGIN_SETS_OF_RULES = _begin_sets(_OF_GROUP)
_BEGIN_SETS_OF_HOST = _begin_sets(_OF_HOST)

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
_END_SETS = delete(host_sets).where(
    host_sets.c.set_id.in_(bindparam("sets", expanding=True)),
    host_sets.c.host.in_(bindparam("hosts", expanding=True)),
    ~exists(_REFERRING),
)
_REMOTES = (
    select(func.coalesce(_RULE.remote_group_id, _RULE.remote_address_group_id))
    .where(_RULE.group_id == bindparam("this_group"))
    .distinct()
)
_HOSTS = select(host_groups.c.host).where(_OF_GROUP)

_BEGUN_OR_CHANGED = union(
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


def move(change: Change, before: Port | None, after: Port | None) -> None:
    """A port comes, goes, or has another host or other groups than before."""
    was, is_now = _places(before), _places(after)
    for host, group_id in sorted(was - is_now):
        _leave(change, host, group_id)
    for host, group_id in sorted(is_now - was):
        _join(change, host, group_id)


def adopt_all(change: Change, host: str) -> None:
    """A host took ports in without their telling: what it follows is read off its ports."""
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
    change.connection.execute(_BEGIN_SETS_OF_HOST, here)


def rules_changed(change: Change, group_id: str, gone: tuple[SecurityGroupRule, ...] = ()) -> None:
    """A group has other rules, without those that are gone; who follows it is woken."""
    this = {"this_group": group_id}
    hosts = list(change.connection.scalars(_HOSTS, this))
    if not hosts:
        return
    revised = this | {"this_revision": change.revision}
    change.connection.execute(_BEGIN_SETS_OF_RULES, revised)
    sets = sorted({each.rule.remote for each in gone if isinstance(each.rule.remote, str)})
    if sets:
        change.connection.execute(_END_SETS, {"sets": sets, "hosts": hosts})
    change.woken |= set(hosts)


def groups(snapshot: Snapshot, host: str, after: int) -> frozenset[str]:
    """The groups whose rules a host must be told; those of all it follows, after BEFORE_ALL."""
    here = {"host": host, "after": after}
    return frozenset(snapshot.connection.scalars(_BEGUN_OR_CHANGED, here))


def _places(port: Port | None) -> set[tuple[str, str]]:
    if port is None or not port.host:
        return set()
    return {(port.host, group_id) for group_id in governing(port)}


def _join(change: Change, host: str, group_id: str) -> None:
    this = {"this_host": host, "this_group": group_id}
    if change.aside.execute(_ONE_MORE, this).rowcount:
        return
    row = {"host": host, "group_id": group_id, "ports": 1, "since": change.revision}
    change.connection.execute(_BEGIN, row)
    change.connection.execute(_BEGIN_SETS, this | {"this_revision": change.revision})


def _leave(change: Change, host: str, group_id: str) -> None:
    this = {"this_host": host, "this_group": group_id}
    if change.aside.scalar(_ONE_LESS, this) == 0:
        change.connection.execute(_END, this)
        remotes = change.connection.scalars(_REMOTES, {"this_group": group_id})
        sets = sorted(each for each in remotes if each is not None)
        change.connection.execute(_END_SETS, {"sets": sets, "hosts": [host]})
