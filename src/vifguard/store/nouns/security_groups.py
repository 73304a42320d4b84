"""Security groups and their rules: read, create, update, delete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update

from vifguard.model.security_group import Rule, SecurityGroup, SecurityGroupRule, default_group
from vifguard.resolve.affected import affected_by_security_group
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement, in_list
from vifguard.store.errors import InUseError, MissingError, RuleExistsError
from vifguard.store.nouns import default_rules, dependents, rbac_policies
from vifguard.store.schema.mapping import stamp_of
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.security_group_mapping import (
    meaning_of,
    rule_of,
    rule_values,
    security_group_of,
    security_group_values,
)
from vifguard.store.schema.tables import (
    port_security_groups,
    ports,
    security_group_rules,
    security_groups,
)
from vifguard.store.stored_nouns import Stamp, StoredRule, StoredSecurityGroup
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import subscriptions

_NEW = Stamp(revision_number=1, created_at=0, updated_at=0)
"""The stamp of a group or rule that has no row yet: as if it had always existed."""

_SOME = Statement(select(security_groups).where(in_list(security_groups.c.id, "ids")))
_SEEN = Statement(
    select(security_groups, rbac_policies.shares(security_groups.c.id).label("is_shared")).where(
        in_list(security_groups.c.id, "ids")
    )
)
_RULES = Statement(
    select(security_group_rules)
    .where(in_list(security_group_rules.c.group_id, "ids"))
    .order_by(security_group_rules.c.created_at, security_group_rules.c.id)
)
_DEFAULT_OF = Statement(
    select(security_groups.c.id).where(security_groups.c.default_of == bindparam("project_id"))
)
_STAMP = Statement(select(security_groups).where(security_groups.c.id == bindparam("id")))
_SAME = Statement(
    select(security_group_rules.c.id).where(
        security_group_rules.c.group_id == bindparam("group_id"),
        security_group_rules.c.meaning == bindparam("meaning"),
    )
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredSecurityGroup]:
    """The groups that a condition on their table selects, in the order they were made."""
    order = (security_groups.c.created_at, security_groups.c.id)
    rows = snapshot.connection.execute(select(security_groups).where(which).order_by(*order)).all()
    rules: dict[str, list[StoredRule]] = defaultdict(list)
    for row in snapshot.rows(_RULES, {"ids": [row.id for row in rows]}):
        rules[row.group_id].append(StoredRule(rule_of(row), stamp_of(row)))
    return [
        StoredSecurityGroup(security_group_of(row), tuple(rules[row.id]), stamp_of(row))
        for row in rows
    ]


def get(snapshot: Snapshot, group_id: str) -> StoredSecurityGroup:
    """One group; raises MissingError."""
    found = read(snapshot, security_groups.c.id == group_id)
    if not found:
        raise MissingError("security-group", group_id)
    return found[0]


def queue(
    batch: Batch, ids: Iterable[str], project_id: str
) -> Pending[dict[str, tuple[SecurityGroup, bool]]]:
    """Queue reading groups by id, those that exist, and whether each is shared with a project."""

    def read(rows: list[Record]) -> dict[str, tuple[SecurityGroup, bool]]:
        return {row.id: (security_group_of(row), row.is_shared) for row in rows}

    return batch.queue(_SEEN, {"ids": sorted(set(ids)), "project_id": project_id}, read)


def by_id(snapshot: Snapshot, ids: Iterable[str]) -> dict[str, SecurityGroup]:
    """The groups with these ids, by id; those that do not exist are left out."""
    rows = snapshot.rows(_SOME, {"ids": sorted(set(ids))})
    return {row.id: security_group_of(row) for row in rows}


def meanings(snapshot: Snapshot, ids: Iterable[str]) -> dict[str, frozenset[Rule]]:
    """The canonical rules of these groups; empty for a group without rules."""
    found: dict[str, set[Rule]] = {group_id: set() for group_id in ids}
    for row in snapshot.rows(_RULES, {"ids": sorted(found)}):
        found[row.group_id].add(rule_of(row).rule.canonical())
    return {group_id: frozenset(rules) for group_id, rules in found.items()}


def create(change: WriteTransaction, group: SecurityGroup) -> StoredSecurityGroup:
    """Store a group with the rules that every new one has."""
    values = (
        security_group_values(group) | {"rules_revision": change.revision} | change.created_stamp()
    )
    change.connection.execute(insert(security_groups).values(values))
    for default in default_rules.read(change):
        if default.begins(group):
            _insert(change, default.of(group))
    return get(change, group.id)


def queue_default(batch: Batch, project_id: str) -> Pending[str | None]:
    """Queue reading the id of a project's default group, if it has one yet."""
    return batch.queue(
        _DEFAULT_OF, {"project_id": project_id}, lambda rows: rows[0].id if rows else None
    )


def default_of(snapshot: Snapshot, project_id: str) -> str | None:
    """The id of a project's default group, if it has one yet."""
    rows = snapshot.rows(_DEFAULT_OF, {"project_id": project_id})
    return rows[0].id if rows else None


def ensure_default(change: WriteTransaction, project_id: str) -> str:
    """The id of a project's default group, which is made where there is none yet."""
    found = default_of(change, project_id)
    if found is not None:
        return found
    return create(change, default_group(project_id)).group.id


def unwritten(snapshot: Snapshot, project_id: str) -> list[StoredSecurityGroup]:
    """A project's default group as its first write will make it; nothing where it was made."""
    if default_of(snapshot, project_id) is not None:
        return []
    group = default_group(project_id)
    rules = [each.of(group) for each in default_rules.read(snapshot) if each.begins(group)]
    return [StoredSecurityGroup(group, tuple(StoredRule(each, _NEW) for each in rules), _NEW)]


def by_default_id(snapshot: Snapshot, project_id: str, group_id: str) -> list[StoredSecurityGroup]:
    """A project's default group where an id names it before it was made; a change makes it."""
    if group_id != default_group(project_id).id:
        return []
    if isinstance(snapshot, WriteTransaction) and ensure_default(snapshot, project_id) == group_id:
        return [get(snapshot, group_id)]
    return unwritten(snapshot, project_id)


def by_default_rule_id(snapshot: Snapshot, project_id: str, rule_id: str) -> list[StoredRule]:
    """A rule of a project's default group before that is made; a change makes it."""
    groups = by_default_id(snapshot, project_id, default_group(project_id).id)
    return [each for group in groups for each in group.rules if each.rule.id == rule_id]


def update_group(
    change: WriteTransaction, before: StoredSecurityGroup, changes: Mapping[str, Any]
) -> StoredSecurityGroup:
    """Change fields of a group; raises InUseError if `stateful` changes while a port has it."""
    after = replace(before.group, **changes)
    if after.stateful != before.group.stateful:
        _require_unused(change, after)
    values = security_group_values(after) | change.updated_stamp(before.stamp)
    _update(change, after.id, values)
    change.journal_affected(affected_by_security_group(before.group, after))
    return get(change, after.id)


def delete_group(change: WriteTransaction, group: SecurityGroup) -> None:
    """Delete a group, its rules, and the rules of its project's other groups that refer to it.

    Raises InUseError while a port has it, or a rule of another project refers to it.
    """
    _require_unused(change, group)
    refers = security_group_rules.c.remote_group_id == group.id
    _require_no_stranger(change, group, refers)
    others = read_rules(change, refers & (security_group_rules.c.group_id != group.id))
    delete_rules(change, others)
    mine = security_group_rules.c.group_id == group.id
    change.connection.execute(delete(security_group_rules).where(mine))
    rbac_policies.forget(change, group.id)
    change.connection.execute(delete(security_groups).where(security_groups.c.id == group.id))
    change.allocate_revision()


def read_rules(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredRule]:
    """The rules that a condition on their table selects, in the order they were made."""
    order = (security_group_rules.c.created_at, security_group_rules.c.id)
    rows = snapshot.connection.execute(select(security_group_rules).where(which).order_by(*order))
    return [StoredRule(rule_of(row), stamp_of(row)) for row in rows]


def create_rule(change: WriteTransaction, rule: SecurityGroupRule) -> StoredRule:
    """Add a rule to its group; raises RuleExistsError where one of the group means the same."""
    stored = _insert(change, rule)
    _rules_changed(change, rule.group_id)
    return stored


def delete_rules(change: WriteTransaction, rules: Iterable[StoredRule]) -> None:
    """Delete rules; traffic that they alone allowed is allowed no more."""
    by_group: dict[str, list[SecurityGroupRule]] = defaultdict(list)
    for each in rules:
        by_group[each.rule.group_id].append(each.rule)
    for group_id, removed in by_group.items():
        ids = [rule.id for rule in removed]
        which = security_group_rules.c.id.in_(ids)
        change.connection.execute(delete(security_group_rules).where(which))
        _rules_changed(change, group_id, tuple(removed))


def _insert(change: WriteTransaction, rule: SecurityGroupRule) -> StoredRule:
    # Changes are serial: a rule that is absent now is absent when the row is written.
    this = {"group_id": rule.group_id, "meaning": meaning_of(rule.rule)}
    for same in change.rows(_SAME, this):
        raise RuleExistsError(f"Security group rule already exists. Rule id is {same.id}.")
    stamp = change.created_stamp()
    change.connection.execute(insert(security_group_rules).values(rule_values(rule) | stamp))
    return StoredRule(rule, Stamp(**stamp))


def _rules_changed(
    change: WriteTransaction, group_id: str, removed: tuple[SecurityGroupRule, ...] = ()
) -> None:
    (row,) = change.rows(_STAMP, {"id": group_id})
    stamp = change.updated_stamp(stamp_of(row))
    _update(change, group_id, {"rules_revision": change.revision} | stamp)
    subscriptions.rules_changed(change, group_id, removed)


def _update(change: WriteTransaction, group_id: str, values: Mapping[str, Any]) -> None:
    this = security_groups.c.id == group_id
    change.connection.execute(update(security_groups).where(this).values(values))


def _require_unused(change: WriteTransaction, group: SecurityGroup) -> None:
    have = select(port_security_groups.c.port_id).where(port_security_groups.c.group_id == group.id)
    users, discreet = dependents.words_for(change, ports, ports.c.id.in_(have), group.project_id)
    if users:
        head = f"Security Group {group.id} in use by ports"
        raise InUseError("security-group", f"{head}: {users}.", f"{head}: {discreet}.")


def _require_no_stranger(
    change: WriteTransaction, group: SecurityGroup, refers: ColumnElement[bool]
) -> None:
    # Their traffic would end without a word to them.
    theirs = refers & (security_group_rules.c.project_id != group.project_id)
    rules, discreet = dependents.words_for(change, security_group_rules, theirs, group.project_id)
    if rules:
        head = f"Security Group {group.id} in use by rules whose remote group it is"
        raise InUseError("security-group", f"{head}: {rules}.", f"{head}: {discreet}.")
