"""`vifguard security-group-rule`: the flows that a security group allows to be opened."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from vifguard.attributes.security_group_rules import SECURITY_GROUP_RULES
from vifguard.cli.lookup import completer, find, find_usable, names_of
from vifguard.cli.options import values
from vifguard.cli.options.added_options import with_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import tagged_noun_app
from vifguard.client.resource import ADDRESS_GROUP, SECURITY_GROUP, SECURITY_GROUP_RULE

app = tagged_noun_app(SECURITY_GROUP_RULE, "Rules of security groups: they allow, and never deny.")

Group = Annotated[
    str,
    typer.Argument(
        metavar="GROUP", help="The group's name or id.", autocompletion=completer(SECURITY_GROUP)
    ),
]
OfGroup = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="Only those of this security group.",
        autocompletion=completer(SECURITY_GROUP),
    ),
]
_TEXTS = SECURITY_GROUP_RULES.by_name

Direction = Annotated[str, typer.Option(help=_TEXTS["direction"].help)]
Ethertype = Annotated[
    str | None, typer.Option(help="IPv4 or IPv6. Default: that of the remote prefix, or IPv4.")
]
Protocol = Annotated[str | None, typer.Option(help=_TEXTS["protocol"].help)]
Port = Annotated[
    str | None,
    typer.Option(
        "--port", metavar="PORT[-PORT]", help="The port, or range of ports, that the rule allows."
    ),
]
Icmp = Annotated[
    str | None,
    typer.Option(
        "--icmp", metavar="TYPE[/CODE]", help="The ICMP type and code that the rule allows."
    ),
]
Prefix = Annotated[
    str | None, typer.Option("--remote-prefix", help=_TEXTS["remote_ip_prefix"].help)
]
RemoteGroup = Annotated[
    str | None,
    typer.Option(
        help=_TEXTS["remote_group_id"].help,
        autocompletion=completer(SECURITY_GROUP),
    ),
]
RemoteAddressGroup = Annotated[
    str | None,
    typer.Option(
        help=_TEXTS["remote_address_group_id"].help, autocompletion=completer(ADDRESS_GROUP)
    ),
]


_ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
_PORTS = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?", re.ASCII)
_TYPES = re.compile(r"[0-9]{1,3}(/[0-9]{1,3})?", re.ASCII)


def _body(
    direction: str,
    ethertype: str | None,
    protocol: str | None,
    port: str | None,
    icmp: str | None,
    remote_prefix: str | None,
) -> dict[str, Any]:
    """The body of a rule for the API; a usage error where ports and type contradict."""
    if port is not None and icmp is not None:
        raise typer.BadParameter("give --port or --icmp, not both")
    if port is not None and protocol in _ICMP:
        raise typer.BadParameter(f"{protocol} has no ports: give --icmp TYPE[/CODE]")
    if port is not None and not _PORTS.fullmatch(port):
        raise typer.BadParameter(f"--port {port!r} is neither a port nor a range such as 80-90")
    if icmp is not None and not _TYPES.fullmatch(icmp):
        raise typer.BadParameter(f"--icmp {icmp!r} is not TYPE[/CODE] such as 8 or 3/1")
    body = values.present(
        direction=direction,
        ethertype=ethertype or ("IPv6" if ":" in (remote_prefix or "") else None),
        protocol=protocol,
        remote_ip_prefix=remote_prefix,
    )
    return body | _range(port, "-", same=True) | _range(icmp, "/", same=False)


def _range(text: str | None, between: str, *, same: bool) -> dict[str, str]:
    """`80-90` or `8/0`; of one number alone both ends are it, if `same`."""
    if text is None:
        return {}
    low, found, high = text.partition(between)
    ends = {"port_range_min": low}
    return ends | ({"port_range_max": high if found else low} if found or same else {})


with_rule = with_options(
    "allowed",
    {
        "direction": (Direction, "ingress"),
        "ethertype": (Ethertype, None),
        "protocol": (Protocol, None),
        "port": (Port, None),
        "icmp": (Icmp, None),
        "remote_prefix": (Prefix, None),
    },
    _body,
)
"""Add the options of a rule's meaning to a command, whose `allowed` is that of a request's body."""


@app.command("list")
@with_session
def list_rules(session: Session, group: OfGroup = None, project: values.Project = None) -> None:
    """The rules of the security groups that you may see."""
    filters = values.present(project_id=project)
    if group is not None:
        owner = find_usable(session, SECURITY_GROUP, group, project)
        filters["security_group_id"] = owner["id"]
    found = session.client.list(SECURITY_GROUP_RULE, **filters)
    kinds = () if session.json else (SECURITY_GROUP, ADDRESS_GROUP)
    names: dict[str, str] = {
        key: name for kind in kinds for key, name in names_of(session, kind).items()
    }
    whose = Column("GROUP", "security_group_id", lambda key: str(names.get(key, key)))
    session.table((whose, *rule_columns(found, names)), found)


@app.command()
@with_session
@with_rule
def create(
    session: Session,
    group: Group,
    allowed: dict[str, Any],
    remote_group: RemoteGroup = None,
    remote_address_group: RemoteAddressGroup = None,
    description: values.Description = None,
) -> None:
    """Add a rule to a security group, in force on every port that has it."""
    owner = find(session, SECURITY_GROUP, group)
    body = values.present(
        security_group_id=owner["id"],
        remote_group_id=remote_group and _remote(session, SECURITY_GROUP, remote_group, owner),
        remote_address_group_id=remote_address_group
        and _remote(session, ADDRESS_GROUP, remote_address_group, owner),
        description=description,
    )
    session.show(session.client.create(SECURITY_GROUP_RULE, allowed | body))


def rule_columns(
    rules: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> tuple[Column, ...]:
    """The columns of a table of rules; `names` are those of the sets they refer to."""
    by_id = {rule["id"]: rule for rule in rules}
    return (
        Column("DIRECTION", "direction"),
        Column("ETHERTYPE", "ethertype"),
        Column("PROTOCOL", "protocol", lambda word: word or "any"),
        Column("PORTS", "id", lambda key: _ports(by_id[key])),
        Column("REMOTE", "id", lambda key: _with_whom(by_id[key], names)),
        Column("RULE", "id"),
    )


def _remote(session: Session, kind: Any, name: str, owner: Mapping[str, Any]) -> str:
    # A project's groups have names of their own: the name is looked up in the rule's project.
    found: str = find_usable(session, kind, name, owner["project_id"])["id"]
    return found


def _ports(rule: Mapping[str, Any]) -> str:
    low, high = rule["port_range_min"], rule["port_range_max"]
    if low is None:
        return "any"
    if rule["protocol"] in _ICMP:
        return f"type {low}" + ("" if high is None else f" code {high}")
    return str(low) if low == high else f"{low}-{high}"


def _with_whom(rule: Mapping[str, Any], names: Mapping[str, str]) -> str:
    for kind in ("remote_group_id", "remote_address_group_id"):
        if key := rule[kind]:
            return names.get(key, key)
    return rule["remote_ip_prefix"] or "any"
