"""`vifguard address-group`: prefixes under one name, for rules to refer to."""

from __future__ import annotations

from typing import Annotated

import typer

from vifguard.attributes.address_groups import ADDRESS_GROUPS
from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options.attribute_options import NounOptions, Spelling
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_create, add_list, add_set, tagged_noun_app
from vifguard.client.resource import ADDRESS_GROUP

app = tagged_noun_app(
    ADDRESS_GROUP, "Address groups: prefixes that rules of security groups refer to."
)

Which = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(ADDRESS_GROUP)),
]
Addresses = Annotated[list[str], typer.Argument(metavar="PREFIX...", help="Addresses or prefixes.")]


add_list(
    app,
    ADDRESS_GROUP,
    "The address groups that you may see.",
    (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("ADDRESSES", "addresses"),
        Column("DESCRIPTION", "description"),
    ),
)


OPTIONS = NounOptions(
    ADDRESS_GROUP, ADDRESS_GROUPS, spelled={"addresses": Spelling("--address", "PREFIX")}
)
add_create(app, OPTIONS, "Create an address group.")
add_set(app, OPTIONS, "Change an address group's name or description.")


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
