"""`show` and `delete` are the same for every noun: declared once, added to each."""

# Annotations here name local values (which resource), so they are not postponed.

from collections.abc import Mapping
from typing import Annotated

import typer

from vifguard.cli.names import completer, find, id_of
from vifguard.cli.output import Show
from vifguard.cli.session import Session, with_session
from vifguard.client.resource import Resource


def noun_app(resource: Resource, about: str) -> typer.Typer:
    """The command group of a noun."""
    return typer.Typer(name=resource.noun, help=about, no_args_is_help=True)


def add_show(app: typer.Typer, resource: Resource, shown: Mapping[str, Show] | None = None) -> None:
    """Add `show NAME`. `shown` is how people see fields that are not plain, by the field's name."""
    argument = typer.Argument(
        metavar="NAME",
        help=f"The {resource.noun}'s name or id.",
        autocompletion=completer(resource),
    )

    @app.command("show", help=f"Everything about one {resource.noun}.")
    @with_session
    def show(session: Session, name: Annotated[str, argument]) -> None:
        session.show(find(session, resource, name), shown)


def add_delete(app: typer.Typer, resource: Resource) -> None:
    """Add `delete NAME...`: stops at the first that cannot be deleted."""
    argument = typer.Argument(
        metavar="NAME...", help="Names or ids.", autocompletion=completer(resource)
    )

    @app.command("delete", help=f"Delete {resource.noun}s; names are looked up before the first.")
    @with_session
    def delete(session: Session, names: Annotated[list[str], argument]) -> None:
        ids = [id_of(session, resource, name) for name in names]
        for key in ids:
            session.client.delete(resource, key)
        session.done(f"deleted {', '.join(names)}", {"deleted": ids})
