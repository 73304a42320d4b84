"""`show`, `create`, `set` and `delete`: declared once, added to each noun."""

# Annotations here name local values (which resource), so they are not postponed.

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vifguard.cli.exit_codes import HalfwayError
from vifguard.cli.lookup import completer, find, id_of
from vifguard.cli.options.attribute_options import AttributeOption, NounOptions
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.options.values import changes
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.client.errors import ClientError, RefusedError
from vifguard.client.resource import ResourceType

if TYPE_CHECKING:
    from vifguard.client.client import Client


Present = Callable[[Session, Mapping[str, Any]], None]
PresentChange = Callable[[Session, Mapping[str, Any], Mapping[str, Any]], None]


def _show_after(session: Session, _before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    session.show(after)


def noun_app(resource: ResourceType, about: str) -> typer.Typer:
    """The command group of a noun."""
    return typer.Typer(name=resource.noun, help=about, no_args_is_help=True)


def tagged_noun_app(
    resource: ResourceType, about: str, present: Present = Session.show
) -> typer.Typer:
    """The command group of a noun with tags: `show`, `delete`, `tag` and `untag`."""
    app = noun_app(resource, about)
    add_show(app, resource, present)
    add_delete(app, resource)
    add_tags(app, resource)
    return app


def add_list(
    app: typer.Typer, resource: ResourceType, about: str, columns: tuple[Column, ...]
) -> None:
    """Add `list`, of a noun whose columns need no other noun."""

    @app.command("list", help=about)
    @with_session
    @with_list_options
    def show_list(session: Session, query: Query) -> None:
        session.table(columns, session.client.list(resource, **query))


def add_show(app: typer.Typer, resource: ResourceType, present: Present = Session.show) -> None:
    """Add `show NAME`. `present` is how the object is shown."""
    argument = typer.Argument(
        metavar="NAME",
        help=f"The {resource.noun}'s name or id.",
        autocompletion=completer(resource),
    )

    @app.command("show", help=f"Show everything about one {resource.noun}.")
    @with_session
    def show(session: Session, name: Annotated[str, argument]) -> None:
        present(session, find(session, resource, name))


def add_create(
    app: typer.Typer, noun: NounOptions, about: str, present: Present = Session.show
) -> None:
    """Add `create NAME`, with an option for each attribute of a new object."""
    name = typer.Argument(metavar="NAME", help=noun.schema.by_name["name"].help)

    def create(session: Session, name: str, **given: Any) -> None:
        body = {"name": name, **noun.body(noun.create, session, {}, given)}
        present(session, session.client.create(noun.resource, body))

    _add(app, "create", about, create, Annotated[str, name], noun.create)


def add_set(
    app: typer.Typer, noun: NounOptions, about: str, present: PresentChange = _show_after
) -> None:
    """Add `set NAME`, with an option for each attribute that may change."""
    name = typer.Argument(
        metavar="NAME", help="Name or id.", autocompletion=completer(noun.resource)
    )

    def change(session: Session, which: str, **given: Any) -> None:
        changes({key: value for key, value in given.items() if value not in (None, [])})
        before = find(session, noun.resource, which)
        body = noun.body(noun.set, session, before, given)
        present(session, before, session.client.update(noun.resource, before["id"], body))

    _add(app, "set", about, change, Annotated[str, name], noun.set)


def _add(
    app: typer.Typer,
    name: str,
    about: str,
    command: Callable[..., None],
    argument: Any,
    options: tuple[AttributeOption, ...],
) -> None:
    """Add a command with one argument and these options; those of `create` may be required."""
    session, which, _ = inspect.signature(command).parameters.values()
    added = (each.signature(required=name == "create" and each.is_required) for each in options)
    signature = inspect.Signature([session, which.replace(annotation=argument), *added])
    command.__signature__ = signature  # type: ignore[attr-defined]  # PEP 362
    app.command(name, help=about)(with_session(command))


def add_tags(app: typer.Typer, resource: ResourceType) -> None:
    """Add `tag NAME TAG...` and `untag NAME [TAG...]`."""
    argument = typer.Argument(
        metavar="NAME", help="Name or id.", autocompletion=completer(resource)
    )
    given = typer.Argument(metavar="TAG...", help="Tags to add.")
    taken = typer.Argument(metavar="[TAG...]", help="Tags to remove. Default: all.")

    @app.command("tag", help=f"Add tags to a {resource.noun}, beside those that it has.")
    @with_session
    def tag(
        session: Session, name: Annotated[str, argument], tags: Annotated[list[str], given]
    ) -> None:
        key = id_of(session, resource, name)
        session.client.add_tags(resource, key, tags)
        session.show(session.client.show(resource, key))

    @app.command("untag", help=f"Remove tags from a {resource.noun}.")
    @with_session
    def untag(
        session: Session,
        name: Annotated[str, argument],
        tags: Annotated[list[str] | None, taken] = None,
    ) -> None:
        key = id_of(session, resource, name)
        session.client.remove_tags(resource, key, tags or None)
        session.show(session.client.show(resource, key))


def add_delete(app: typer.Typer, resource: ResourceType) -> None:
    """Add `delete NAME...`: stops at the first that cannot be deleted."""
    argument = typer.Argument(
        metavar="NAME...", help="Names or ids.", autocompletion=completer(resource)
    )

    several = resource.plural.replace("_", " ")

    @app.command("delete", help=f"Delete {several}; all names are looked up before the first.")
    @with_session
    def delete(session: Session, names: Annotated[list[str], argument]) -> None:
        named = {id_of(session, resource, name): name for name in names}
        _delete(session.client, resource, named)
        session.done(f"deleted {', '.join(named.values())}", {"deleted": [*named]})


def _delete(client: "Client", resource: ResourceType, named: Mapping[str, str]) -> None:
    """Delete objects, which `named` has by their ids; HalfwayError names those deleted so far."""
    names = list(named.values())
    for place, key in enumerate(named):
        try:
            client.delete(resource, key)
        except (ClientError, KeyboardInterrupt) as error:
            if len(named) == 1:
                raise
            said = _said(names[:place], names[place], names[place + 1 :], error)
            raise HalfwayError(f"{resource.noun} {names[place]}", error, said) from error


def _said(
    deleted: list[str], failed: str, left: list[str], error: BaseException
) -> tuple[str, ...]:
    refused = isinstance(error, RefusedError)
    kept = [failed, *left] if refused else left
    return (
        f"deleted: {', '.join(deleted) or 'none'}",
        *([] if refused else [f"deleted or not, which is not known: {failed}"]),
        f"not deleted: {', '.join(kept) or 'none'}",
    )
