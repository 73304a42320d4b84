"""`vifguard address-group`: prefixes under one name, for rules to refer to."""

from __future__ import annotations

from typing import Annotated

import typer

from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import ADDRESS_GROUP

app = noun_app(ADDRESS_GROUP, "Address groups: prefixes that rules of security groups refer to.")
add_show(app, ADDRESS_GROUP)
add_delete(app, ADDRESS_GROUP)
add_tags(app, ADDRESS_GROUP)

Which = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(ADDRESS_GROUP)),
]
Address = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="PREFIX", help="An address or a prefix; repeatable."),
]
Addresses = Annotated[list[str], typer.Argument(metavar="PREFIX...", help="Addresses or prefixes.")]


@app.command("list")
@with_session
@with_list_options
def list_address_groups(session: Session, query: Query) -> None:
    """The address groups that you may see."""
    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("ADDRESSES", "addresses"),
        Column("DESCRIPTION", "description"),
    )
    found = session.client.list(ADDRESS_GROUP, **query)
    session.table(columns, found)


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    project: values.Project = None,
    address: Address = None,
    description: values.Description = None,
) -> None:
    """Create an address group."""
    body = values.present(
        name=name, project_id=project, addresses=values.many(address), description=description
    )
    session.show(session.client.create(ADDRESS_GROUP, body))


@app.command("set")
@with_session
def set_address_group(
    session: Session,
    which: Which,
    name: values.NewName = None,
    description: values.Description = None,
) -> None:
    """Change an address group's name or description."""
    key = id_of(session, ADDRESS_GROUP, which)
    body = values.changes(values.present(name=name, description=description))
    session.show(session.client.update(ADDRESS_GROUP, key, body))


@app.command()
@with_session
def add(session: Session, which: Which, addresses: Addresses) -> None:
    """Add addresses; every rule that refers to the group allows them."""
    key = id_of(session, ADDRESS_GROUP, which)
    session.show(session.client.add_addresses(key, addresses))


@app.command()
@with_session
def remove(session: Session, which: Which, addresses: Addresses) -> None:
    """Remove addresses; connections that they alone allowed end."""
    key = id_of(session, ADDRESS_GROUP, which)
    session.show(session.client.remove_addresses(key, addresses))
