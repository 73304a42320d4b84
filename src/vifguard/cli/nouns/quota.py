"""`vifguard quota`: the quotas of a project, and their use."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from vifguard.cli.options import values
from vifguard.cli.projects import note_if_new
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column

app = typer.Typer(
    name="quota",
    help="Quotas: how many objects a project may have, and how many it has.",
    no_args_is_help=True,
)

_ANY = -1
"""The API's word for any number."""

Whose = Annotated[
    str | None, typer.Argument(metavar="PROJECT", help="The project. Default: yours.")
]
Project = Annotated[str, typer.Argument(metavar="PROJECT", help="Whose.")]
Limits = Annotated[
    list[str],
    typer.Argument(
        metavar="RESOURCE=NUMBER...", help="A limit such as port=50; port=none: no limit."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Also set limits below what the project has.")]


@app.command()
@with_session
def show(session: Session, project: Whose = None) -> None:
    """Show how many objects a project may have, and how many it has."""
    if project is None:
        project = session.client.call("GET", "quotas/project")["project"]["project_id"]
    quota = session.client.call("GET", f"{_path(project)}/details")["quota"]
    rows = [{"resource": name, **each} for name, each in quota.items()]
    columns = (
        Column("RESOURCE", "resource"),
        Column("USED", "used"),
        Column("MOST", "limit", _most),
    )
    session.table(columns, rows)


@app.command("set")
@with_session
def set_quota(session: Session, project: Project, limits: Limits, *, force: Force = False) -> None:
    """Give a project quotas of its own; those that are not named stay."""
    body: dict[str, object] = dict(_limit(text) for text in limits)
    known = session.client.call("GET", f"{_path(project)}/default")["quota"]
    if unknown := sorted(body.keys() - known.keys()):
        raise typer.BadParameter(f"there is no {unknown[0]!r}: known are {', '.join(known)}")
    if force:
        body["force"] = True
    note_if_new(session, project)
    found = session.client.call("PUT", _path(project), body={"quota": body})["quota"]
    if session.json:
        session.show(found)
    else:
        session.show({name: _most(most) for name, most in found.items()})


@app.command()
@with_session
def reset(session: Session, project: Project) -> None:
    """Give a project the usual quotas again."""
    session.client.call("DELETE", _path(project))
    session.done(f"reset the quotas of {project}", {"reset": [project]})


def _path(project: str) -> str:
    # A user's text cannot climb to another path.
    return f"quotas/{quote(project, safe='')}"


def _limit(text: str) -> tuple[str, int]:
    resource, equals, number = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not RESOURCE=NUMBER such as port=50")
    most = values.number_or_none(resource, number)
    return resource, _ANY if most is None else most


def _most(limit: int) -> str:
    return "any" if limit == _ANY else str(limit)
