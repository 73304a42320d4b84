"""Rules of security groups. Neutron's words ingress and egress are used here only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement
from starlette.responses import Response

from vifguard.api.access import visibility
from vifguard.api.access.attribute_policy import OWN_PROJECT, OWNER, Subject
from vifguard.api.access.attribute_policy import AttributeRule as Who
from vifguard.api.access.quota import check_quota
from vifguard.api.errors import Refusal, bad_request, conflict
from vifguard.api.http.request import RequestContext
from vifguard.api.http.responses import JsonResponse
from vifguard.api.http.routes import Routes
from vifguard.api.schema.attribute_sets import description, show_stamp, with_stamp
from vifguard.api.schema.attributes import REQUIRED, Attribute, ParsedBody, ResourceSchema
from vifguard.api.schema.convert import (
    Converter,
    InvalidValueError,
    boolean,
    exactly,
    integer,
    nullable,
    project,
    quoted,
    text,
    uuid,
)
from vifguard.api.schema.protocol import ONLY_IPV6, Protocol, protocol
from vifguard.api.schema.sql_filters import SqlFilters, columns
from vifguard.model.address import AddressError, IPInterface, IPNetwork, parse_interface
from vifguard.model.security_group import (
    ICMP_OF,
    PORTS_OF,
    IcmpType,
    PortRange,
    Rule,
    SecurityGroup,
    SecurityGroupRule,
)
from vifguard.model.verdict import Direction
from vifguard.store.nouns import security_groups
from vifguard.store.schema.mapping import StoredRule
from vifguard.store.schema.security_group_mapping import meaning_of, range_of
from vifguard.store.schema.tables import security_group_rules as table
from vifguard.store.transaction import Snapshot, WriteTransaction

router = Routes("security groups")

_DIRECTION: Mapping[str, Direction] = MappingProxyType(
    {"ingress": Direction.TO_GUEST, "egress": Direction.FROM_GUEST}
)
_WORD = {direction: word for word, direction in _DIRECTION.items()}
_VERSION = {"ipv4": 4, "ipv6": 6}
_INTEGER = integer(0, 65535)


def _read_port(value: Any) -> int:
    try:
        port: int = _INTEGER.read(value)
    except ValueError:
        raise InvalidValueError(
            f"Invalid value for port {quoted(value)}", "SecurityGroupInvalidPortValue"
        ) from None
    return port


def _read_ethertype(value: Any) -> int:
    if isinstance(value, str) and value.lower() in _VERSION:
        return _VERSION[value.lower()]
    raise InvalidValueError(
        f"Security group rule for ethertype {quoted(value)} not supported. Allowed values are "
        f"['IPv4', 'IPv6']",
        "SecurityGroupRuleInvalidEtherType",
    )


def _read_prefix(value: Any) -> IPInterface | None:
    if value == "":
        return None
    try:
        return parse_interface(value)
    except AddressError as error:
        raise InvalidValueError(str(error), "InvalidCIDR") from None


_port = nullable(Converter(_INTEGER.schema, _read_port))
_ethertype = Converter({"enum": ["IPv4", "IPv6"]}, _read_ethertype)
_prefix = nullable(Converter({"type": "string", "format": "cidr"}, _read_prefix))


def said(who: Who) -> tuple[Attribute, ...]:
    """The attributes of a rule's meaning, for `who` to set."""
    return (
        Attribute("direction", exactly(*_DIRECTION), who, default=REQUIRED),
        Attribute("ethertype", _ethertype, who, default=4),
        Attribute("protocol", protocol, who),
        Attribute("port_range_min", _port, who),
        Attribute("port_range_max", _port, who),
        Attribute("remote_ip_prefix", _prefix, who),
    )


SECURITY_GROUP_RULES: Final = ResourceSchema(
    "security_group_rule",
    "security_group_rules",
    (
        Attribute("id", uuid),
        Attribute("project_id", project, OWN_PROJECT),
        Attribute("tenant_id", project),
        Attribute("description", description, OWNER, None, "", "description"),
        Attribute("security_group_id", text(36), OWNER, default=REQUIRED),
        *said(OWNER),
        # A text that is no id is not found, as any unknown id is.
        Attribute("remote_group_id", nullable(text(36)), OWNER),
        Attribute("remote_address_group_id", nullable(text(36)), OWNER),
        Attribute("normalized_cidr", nullable(text())),
        Attribute("belongs_to_default_sg", boolean),
        *with_stamp(),
    ),
)

_SQL_FILTERS: Final = SqlFilters(
    SECURITY_GROUP_RULES,
    table,
    columns(
        table,
        *("id", "project_id", "description"),
        *("remote_group_id", "remote_address_group_id"),
        security_group_id="group_id",
    ),
)


@router.get("/security-group-rules", name="list_security_group_rules")
def list_security_group_rules(call: RequestContext) -> Response:
    """The rules of the project's security groups."""
    listing = call.listing(SECURITY_GROUP_RULES)
    seen = visibility.security_group_rules_of(call.user)
    with call.store.read() as snapshot:

        def shown(which: ColumnElement[bool]) -> list[dict[str, Any]]:
            return _shown(snapshot, security_groups.read_rules(snapshot, which))

        unwritten = security_groups.unwritten(snapshot, call.user.project_id)
        first = [show(each, group.group) for group in unwritten for each in group.rules]
        return JsonResponse(_SQL_FILTERS.answer(snapshot, listing, seen, shown, first))


@router.post("/security-group-rules", name="create_security_group_rule", status_code=201)
def create_security_group_rule(call: RequestContext) -> Response:
    """Add one rule to a security group, or several at once."""
    given = SECURITY_GROUP_RULES.read_post(call.document)
    if len({each["security_group_id"] for each in given}) > 1:
        raise _refused(
            "SecurityGroupNotSingleGroupRules",
            "Only allowed to update rules for one security profile at a time",
        )
    with call.store.change() as change:
        group = visibility.own_security_group(
            change, call.user, given[0]["security_group_id"]
        ).group
        rules = [_rule(change, call, group, each) for each in given]
        if len({meaning_of(rule.rule) for rule in rules}) < len(rules):
            raise conflict(
                "DuplicateSecurityGroupRuleInPost", "Duplicate Security Group Rule in POST."
            )
        check_quota(change, call.user, table, group.project_id, len(rules))
        made = [security_groups.create_rule(change, rule) for rule in rules]
    return call.created(SECURITY_GROUP_RULES, [show(each, group) for each in made])


@router.get("/security-group-rules/{rule_id}", name="show_security_group_rule")
def show_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """One rule."""
    with call.store.read() as snapshot:
        found = visibility.security_group_rule(snapshot, call.user, rule_id)
        group = visibility.security_group(snapshot, call.user, found.rule.group_id).group
    return call.show_one(SECURITY_GROUP_RULES, show(found, group))


@router.delete(
    "/security-group-rules/{rule_id}", name="delete_security_group_rule", status_code=204
)
def delete_security_group_rule(call: RequestContext, rule_id: str) -> Response:
    """Delete a rule; connections that it alone allowed end."""
    with call.store.change() as change:
        found = visibility.security_group_rule(change, call.user, rule_id)
        call.require_revision(found.stamp)
        security_groups.delete_rules(change, [found])
    return Response(status_code=204)


def _rule(
    change: WriteTransaction, call: RequestContext, group: SecurityGroup, given: ParsedBody
) -> SecurityGroupRule:
    SECURITY_GROUP_RULES.authorize_post(given, Subject(call.user, group.project_id))
    if given["project_id"] not in (None, group.project_id):
        raise bad_request(
            f"Invalid input for project_id. Reason: the rule is to be of project "
            f"{given['project_id']}, and security group {group.id} is of {group.project_id}."
        )
    rule, known = meaning(given)
    written = given["remote_ip_prefix"]
    if (group_id := given["remote_group_id"]) is not None:
        visibility.require_security_groups(change, group.project_id, {group_id})
    if (address_group_id := given["remote_address_group_id"]) is not None:
        visibility.require_address_group(change, group.project_id, address_group_id)
    return SecurityGroupRule(
        id=str(uuid4()),
        project_id=group.project_id,
        group_id=group.id,
        rule=rule,
        protocol=None if known is None else known.word,
        of_address_group=address_group_id is not None,
        written="" if str(written) in {"None", str(rule.remote)} else str(written),
        **SECURITY_GROUP_RULES.fields(given),
    )


def meaning(given: ParsedBody) -> tuple[Rule, Protocol | None]:
    """The rule of a request, and its word for the protocol; the remote's owner is not checked.

    Raises Refusal (400) where its attributes contradict each other.
    """
    version, named = given["ethertype"], given["protocol"]
    known = None if named is None else named.of(version)
    remote = _remote(given, version)
    ports, icmp = _range(known, version, given["port_range_min"], given["port_range_max"])
    if known is not None and version == 4 and known.number in ONLY_IPV6:
        raise _refused(
            "SecurityGroupEthertypeConflictWithProtocol",
            f"Invalid ethertype IPv4 for protocol {known.word}.",
        )
    number = None if known is None else known.number
    return Rule(_DIRECTION[given["direction"]], version, number, ports, icmp, remote), known


def _remote(given: ParsedBody, version: int) -> IPNetwork | str | None:
    """The one remote that a request names."""
    prefix, group_id = given["remote_ip_prefix"], given["remote_group_id"]
    address_group_id = given["remote_address_group_id"]
    if sum(each is not None for each in (prefix, group_id, address_group_id)) > 1:
        raise _refused(
            "SecurityGroupMultipleRemoteEntites",
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be "
            "provided.",
        )
    if prefix is not None and prefix.version != version:
        raise _refused(
            "SecurityGroupRuleParameterConflict",
            f"Conflicting value ethertype IPv{version} for CIDR {prefix}",
        )
    if prefix is not None:
        network: IPNetwork = prefix.network
        return network
    remote: str | None = group_id or address_group_id
    return remote


def _range(
    known: Protocol | None, version: int, low: int | None, high: int | None
) -> tuple[PortRange | None, IcmpType | None]:
    """Ports, or an ICMP type and code: Neutron has the same words for both."""
    if low is None and high is None:
        return None, None
    if known is None:
        raise _refused(
            "SecurityGroupProtocolRequiredWithPorts",
            "Must also specify protocol if port range is given.",
        )
    if known.number in PORTS_OF:
        if low is None or high is None or low > high:
            raise _refused(
                "SecurityGroupInvalidPortRange",
                f"For TCP/UDP protocols, port_range_min must be <= port_range_max: they are "
                f"{low} and {high}",
            )
        return PortRange(low, high), None
    if known.number != ICMP_OF[version]:
        raise _refused(
            "SecurityGroupInvalidProtocolForPort",
            f"Ports cannot be specified for protocol {known.word}. Ports are only supported for "
            f"DCCP, SCTP, TCP, UDP, UDPLITE.",
        )
    return None, _icmp(low, high)


def _icmp(kind: int | None, code: int | None) -> IcmpType:
    for value, field, name in ((kind, "type", "port_range_min"), (code, "code", "port_range_max")):
        if value is not None and value > 0xFF:
            raise _refused(
                "SecurityGroupInvalidIcmpValue",
                f"Invalid value for ICMP {field} ({name}) {value}. It must be 0 to 255.",
            )
    if kind is None:
        raise _refused(
            "SecurityGroupMissingIcmpType",
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is "
            f"missing.",
        )
    return IcmpType(kind, code)


def _refused(kind: str, message: str) -> Refusal:
    return Refusal(400, kind, message)


def _shown(snapshot: Snapshot, found: Sequence[StoredRule]) -> list[dict[str, Any]]:
    by_id = security_groups.by_id(snapshot, {each.rule.group_id for each in found})
    return [show(each, by_id[each.rule.group_id]) for each in found]


def show(stored: StoredRule, group: SecurityGroup) -> dict[str, Any]:
    """A rule as the API shows it."""
    noun, remote = stored.rule, stored.rule.rule.remote
    set_id = remote if isinstance(remote, str) else None
    shown = show_meaning(noun.rule, noun.protocol)
    prefix = shown.pop("remote_ip_prefix")
    return {
        "id": noun.id,
        "project_id": noun.project_id,
        "tenant_id": noun.project_id,
        "description": noun.description,
        "security_group_id": noun.group_id,
        **shown,
        "remote_group_id": None if noun.of_address_group else set_id,
        "remote_address_group_id": set_id if noun.of_address_group else None,
        "remote_ip_prefix": noun.written or prefix,
        "normalized_cidr": prefix,
        "belongs_to_default_sg": group.is_default,
        **show_stamp(stored.stamp),
    }


def show_meaning(rule: Rule, protocol: str | None) -> dict[str, Any]:
    """A rule's meaning in Neutron's words, without a remote that is a set."""
    low, high = range_of(rule)
    prefix = None if rule.remote is None or isinstance(rule.remote, str) else str(rule.remote)
    return {
        "direction": _WORD[rule.direction],
        "ethertype": f"IPv{rule.version}",
        "protocol": protocol,
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": prefix,
    }
