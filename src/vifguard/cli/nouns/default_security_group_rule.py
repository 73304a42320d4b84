"""`vifguard default-security-group-rule`: the rules that new security groups begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from vifguard.attributes.default_security_group_rules import DEFAULT_RULES
from vifguard.cli.nouns.security_group_rule import rule_columns, with_rule
from vifguard.cli.options import values
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_delete, add_show, noun_app
from vifguard.client.resource import DEFAULT_RULE

app = noun_app(DEFAULT_RULE, "Rules that new security groups begin with; the operator's.")
add_show(app, DEFAULT_RULE)
add_delete(app, DEFAULT_RULE)

_TEXTS = DEFAULT_RULES.by_name

Members = Annotated[
    bool, typer.Option("--members", help="The other side: the group's own members.")
]
InDefault = Annotated[
    bool | None,
    typer.Option("--in-default/--not-in-default", help=_TEXTS["used_in_default_sg"].help),
]
InOthers = Annotated[
    bool | None,
    typer.Option("--in-others/--not-in-others", help=_TEXTS["used_in_non_default_sg"].help),
]


@app.command("list")
@with_session
def list_default_rules(session: Session) -> None:
    """The rules that new security groups begin with."""
    found = session.client.list(DEFAULT_RULE)
    columns = (
        Column("DEFAULT", "used_in_default_sg"),
        Column("OTHERS", "used_in_non_default_sg"),
        *rule_columns(found, {"PARENT": "its members"}),
    )
    session.table(columns, found)


@app.command()
@with_session
@with_rule
def create(
    session: Session,
    allowed: Mapping[str, Any],
    *,
    members: Members = False,
    in_default: InDefault = None,
    in_others: InOthers = None,
    description: values.Description = None,
) -> None:
    """Add a rule to those that new security groups begin with; existing groups keep theirs."""
    given = values.present(
        remote_group_id="PARENT" if members else None,
        used_in_default_sg=in_default,
        used_in_non_default_sg=in_others,
        description=description,
    )
    session.show(session.client.create(DEFAULT_RULE, {**allowed, **given}))
