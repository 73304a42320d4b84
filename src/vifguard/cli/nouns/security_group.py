"""`vifguard security-group`: sets of rules that allow traffic of the ports that have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from vifguard.cli.lookup import completer, id_of
from vifguard.cli.nouns.security_group_rule import rule_columns
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column, print_line
from vifguard.cli.show.references import with_names
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import SECURITY_GROUP


def show_group(session: Session, group: Mapping[str, Any]) -> None:
    """A group, and a table of its rules."""
    if session.json:
        session.show(group)
        return
    others = {name: value for name, value in group.items() if name != "security_group_rules"}
    session.show(others)
    print_line("")
    rules = with_names(session.client, {"rules": group["security_group_rules"]})["rules"]
    session.table(rule_columns(rules, {}), rules)


app = noun_app(SECURITY_GROUP, "Security groups: rules that ports share.")
add_show(app, SECURITY_GROUP, show_group)
add_delete(app, SECURITY_GROUP)
add_tags(app, SECURITY_GROUP)

Which = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(SECURITY_GROUP)),
]
Stateful = Annotated[
    bool | None,
    typer.Option(
        "--stateful/--stateless",
        help="Whether packets of a connection that a rule allowed pass as well. Fixed once a port "
        "has the group.",
    ),
]
Reject = Annotated[
    bool | None,
    typer.Option(
        "--reject/--drop",
        help="Whether its ports answer what they refuse by a TCP reset or an ICMP error.",
    ),
]


@app.command("list")
@with_session
@with_list_options
def list_security_groups(session: Session, query: Query) -> None:
    """The security groups that you may see."""
    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("STATEFUL", "stateful"),
        Column("RULES", "security_group_rules", lambda rules: str(len(rules))),
        Column("DESCRIPTION", "description"),
    )
    found = session.client.list(SECURITY_GROUP, **query)
    session.table(columns, found)


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    project: values.Project = None,
    stateful: Stateful = None,
    reject: Reject = None,
    description: values.Description = None,
) -> None:
    """Create a security group; at first it allows all that is opened from its members."""
    given = {"name": name, "project_id": project, "description": description}
    body = values.present(**given, stateful=stateful, reject=reject)
    show_group(session, session.client.create(SECURITY_GROUP, body))


@app.command("set")
@with_session
def set_security_group(
    session: Session,
    which: Which,
    name: values.NewName = None,
    stateful: Stateful = None,
    reject: Reject = None,
    description: values.Description = None,
) -> None:
    """Change a security group; `vifguard security-group-rule` changes its rules."""
    key = id_of(session, SECURITY_GROUP, which)
    body = values.present(name=name, stateful=stateful, reject=reject, description=description)
    show_group(session, session.client.update(SECURITY_GROUP, key, values.changes(body)))
