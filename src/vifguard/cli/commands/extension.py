"""`vifguard extension` and `vifguard capabilities`: the features of the server."""

from __future__ import annotations

from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_show, noun_app
from vifguard.client.resource import EXTENSION

app = noun_app(EXTENSION, "Extensions of the API that the server offers.")
add_show(app, EXTENSION)


@app.command("list")
@with_session
def list_extensions(session: Session) -> None:
    """The extensions that the server offers."""
    columns = (Column("ALIAS", "alias"), Column("NAME", "name"), Column("ABOUT", "description"))
    session.table(columns, session.client.list(EXTENSION))


@with_session
def capabilities(session: Session) -> None:
    """Show what the server offers to projects, and the reason for what it does not offer."""
    session.show(session.client.call("GET", "vifguard/capabilities")["capabilities"])
