"""The attributes of rules. Neutron's words ingress and egress are used here only."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from vifguard.attributes.refusal import Refusal
from vifguard.attributes.rules import OWN_PROJECT, OWNER
from vifguard.attributes.rules import AttributeRule as Who
from vifguard.attributes.schema import REQUIRED, Attribute, ParsedBody, ResourceSchema
from vifguard.attributes.shared_attributes import description, with_stamp
from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    boolean,
    exactly,
    integer,
    nullable,
    project,
    text,
    uuid,
)
from vifguard.attributes.values.protocol import ONLY_IPV6, Protocol, protocol
from vifguard.model.address import AddressError, IPInterface, IPNetwork, parse_interface, quoted
from vifguard.model.security_group import (
    ICMP_OF,
    PORTS_OF,
    IcmpType,
    PortRange,
    Rule,
)
from vifguard.model.verdict import Direction

_DIRECTION: Mapping[str, Direction] = MappingProxyType(
    {"ingress": Direction.TO_GUEST, "egress": Direction.FROM_GUEST}
)
WORD: Final = {direction: word for word, direction in _DIRECTION.items()}
"""Neutron's words for the directions."""

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
        Attribute(
            "direction",
            exactly(*_DIRECTION),
            who,
            default=REQUIRED,
            help="ingress: to the group's ports; egress: from them.",
        ),
        Attribute(
            "ethertype",
            _ethertype,
            who,
            default=4,
            help="IPv4 or IPv6.",
        ),
        Attribute(
            "protocol", protocol, who, help="A name such as tcp, a number from 0 to 255, or any."
        ),
        Attribute(
            "port_range_min", _port, who, help="The first port that is opened, or the ICMP type."
        ),
        Attribute(
            "port_range_max", _port, who, help="The last port that is opened, or the ICMP code."
        ),
        Attribute("remote_ip_prefix", _prefix, who, help="The other side: an address or a prefix."),
    )


SECURITY_GROUP_RULES: Final = ResourceSchema(
    "security_group_rule",
    "security_group_rules",
    (
        Attribute("id", uuid),
        Attribute(
            "project_id", project, OWN_PROJECT, help="Whose it is; the project of its group."
        ),
        Attribute("tenant_id", project),
        Attribute("description", description, OWNER, None, "", "description", help="Free text."),
        Attribute(
            "security_group_id",
            text(36),
            OWNER,
            default=REQUIRED,
            help="The security group that it is of.",
        ),
        *said(OWNER),
        # A text that is no id is not found, as any unknown id is.
        Attribute(
            "remote_group_id",
            nullable(text(36)),
            OWNER,
            help="The other side: the members of a security group.",
        ),
        Attribute(
            "remote_address_group_id",
            nullable(text(36)),
            OWNER,
            help="The other side: an address group.",
        ),
        Attribute("normalized_cidr", nullable(text())),
        Attribute("belongs_to_default_sg", boolean),
        *with_stamp(),
    ),
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
