"""Rows <-> security groups, their rules and address groups. Nothing here reads or writes them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from vifguard.model.address import IPNetwork
from vifguard.model.security_group import (
    ICMP_OF,
    AddressGroup,
    IcmpType,
    PortRange,
    Rule,
    SecurityGroup,
    SecurityGroupRule,
)
from vifguard.model.verdict import Direction
from vifguard.store.schema.mapping import ADDRESS_GROUP, SECURITY_GROUP
from vifguard.store.schema.row_mapping import Record, Values


def security_group_values(group: SecurityGroup) -> Values:
    """The columns of a security group, without its stamp and the revision of its rules."""
    default_of = group.project_id if group.is_default else None
    return SECURITY_GROUP.values(group) | {"default_of": default_of}


def security_group_of(row: Record) -> SecurityGroup:
    """The security group of a row."""
    return SECURITY_GROUP.read(row, is_default=row.default_of is not None)


def rule_values(noun: SecurityGroupRule) -> Values:
    """The columns of a rule, without its stamp."""
    rule = noun.rule
    low, high = rule.range
    is_set = isinstance(rule.remote, str)
    return {
        "id": noun.id,
        "group_id": noun.group_id,
        "project_id": noun.project_id,
        "direction": rule.direction,
        "version": rule.version,
        "protocol": rule.protocol,
        "protocol_word": noun.protocol,
        "low": low,
        "high": high,
        "remote_prefix": None
        if is_set or rule.remote is None
        else noun.written or str(rule.remote),
        "remote_group_id": rule.remote if is_set and not noun.of_address_group else None,
        "remote_address_group_id": rule.remote if is_set and noun.of_address_group else None,
        "meaning": meaning_of(rule),
        "description": noun.description,
    }


def rule_of(row: Record) -> SecurityGroupRule:
    """The rule of a row."""
    rule = rule_in(row, row.remote_group_id or row.remote_address_group_id)
    return SecurityGroupRule(
        id=row.id,
        project_id=row.project_id,
        group_id=row.group_id,
        rule=rule,
        protocol=row.protocol_word,
        description=row.description,
        of_address_group=row.remote_address_group_id is not None,
        written="" if row.remote_prefix in (None, str(rule.remote)) else row.remote_prefix,
    )


def meaning_of(rule: Rule) -> str:
    """A text that is equal for rules that mean the same."""
    canonical = rule.canonical()
    low, high = rule.range
    parts = (rule.direction, rule.version, rule.protocol, low, high, canonical.remote)
    return " ".join("any" if part is None else str(part) for part in parts)


def address_group_of(row: Record, addresses: Iterable[IPNetwork]) -> AddressGroup:
    """The address group of a row."""
    return ADDRESS_GROUP.read(row, addresses=frozenset(addresses))


def rule_in(row: Record, remote_set: str | None) -> Rule:
    """The rule in a row of a group's or a default rule; `remote_set` is its remote's id."""
    text = row.remote_prefix
    prefix = None if text is None else ip_network(text, strict=False)
    is_icmp = row.protocol == ICMP_OF[row.version]
    has_range = row.low is not None
    return Rule(
        Direction(row.direction),
        row.version,
        row.protocol,
        PortRange(row.low, row.high) if has_range and not is_icmp else None,
        IcmpType(row.low, row.high) if has_range and is_icmp else None,
        prefix or remote_set,
    )
