"""The rules that new security groups begin with: read, create, delete."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from vifguard.model.security_group import DefaultRule
from vifguard.store.errors import DefaultRuleExistsError, MissingError
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.security_group_mapping import meaning_of, rule_in
from vifguard.store.schema.tables import default_rules
from vifguard.store.transaction import Snapshot, WriteTransaction

_ALL = select(default_rules).order_by(default_rules.c.created_at, default_rules.c.id)


def read(snapshot: Snapshot) -> list[DefaultRule]:
    """Every default rule, in the order they were made."""
    return [_of(row) for row in snapshot.connection.execute(_ALL)]


def get(snapshot: Snapshot, rule_id: str) -> DefaultRule:
    """One default rule; raises MissingError."""
    for rule in read(snapshot):
        if rule.id == rule_id:
            return rule
    raise MissingError("default-security-group-rule", rule_id)


def create(change: WriteTransaction, rule: DefaultRule) -> DefaultRule:
    """Store a default rule for the groups that are made from now on.

    Raises DefaultRuleExistsError where one for the same groups means the same.
    """
    made = change.created_stamp()
    for other in read(change):
        together = (rule.in_default and other.in_default) or (rule.in_others and other.in_others)
        if together and meaning_of(rule.rule) == meaning_of(other.rule):
            raise DefaultRuleExistsError(
                f"Default Security group rule already exists. Rule id is {other.id}."
            )
    values = _values(rule) | {"created_at": made["created_at"]}
    change.connection.execute(insert(default_rules).values(values))
    return rule


def delete_rule(change: WriteTransaction, rule_id: str) -> None:
    """Delete a default rule; the groups that began with it keep their rule."""
    change.connection.execute(delete(default_rules).where(default_rules.c.id == rule_id))
    change.allocate_revision()


def _values(default: DefaultRule) -> Values:
    rule = default.rule
    low, high = rule.range
    is_set = isinstance(rule.remote, str)
    return {
        "id": default.id,
        "direction": rule.direction,
        "version": rule.version,
        "protocol": rule.protocol,
        "protocol_word": default.protocol,
        "low": low,
        "high": high,
        "remote_prefix": None if is_set or rule.remote is None else str(rule.remote),
        "remote_group_id": rule.remote if is_set else None,
        "meaning": meaning_of(rule),
        "description": default.description,
        "in_default": default.in_default,
        "in_others": default.in_others,
    }


def _of(row: Record) -> DefaultRule:
    return DefaultRule(
        row.id,
        rule_in(row, row.remote_group_id),
        row.protocol_word,
        row.description,
        row.in_default,
        row.in_others,
    )
