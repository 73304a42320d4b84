"""Options that every list has: filters, and the page."""

# Annotations here are read when the module is, so they are not postponed.

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

PANEL = "Which"

Query = dict[str, Any]
"""The query of a list."""

_Project = Annotated[
    str | None,
    typer.Option("--project", help="Only those of this project.", rich_help_panel=PANEL),
]
_Name = Annotated[
    str | None, typer.Option("--name", help="Only those of this name.", rich_help_panel=PANEL)
]
_Tag = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", help="Only those with this tag. Repeated: with all of them.", rich_help_panel=PANEL
    ),
]
_Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Show at most this many.", rich_help_panel=PANEL),
]
_After = Annotated[
    str | None,
    typer.Option(
        "--after",
        metavar="ID",
        help="Only those after this one, the last that a list with --limit showed.",
        rich_help_panel=PANEL,
    ),
]
_OPTIONS: dict[str, Any] = {
    "project": _Project,
    "name": _Name,
    "tag": _Tag,
    "limit": _Limit,
    "after": _After,
}


def with_list_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a list to a command whose second parameter is the list's query."""
    session, _, *own = inspect.signature(command, eval_str=True).parameters.values()
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def run(session: Any, **arguments: Any) -> None:
        command(session, _query({n: arguments.pop(n) for n in _OPTIONS}), **arguments)

    mine = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    run.__signature__ = inspect.Signature([session, *mine, *added])  # type: ignore[attr-defined]  # PEP 362
    del run.__wrapped__  # inspect would follow it to other options
    run.__annotations__ = {each.name: each.annotation for each in (*mine, *added)}
    return run


def _query(options: dict[str, Any]) -> Query:
    words = {"project": "project_id", "tag": "tags", "after": "marker"}
    given = {words.get(option, option): value for option, value in options.items()}
    given["tags"] = ",".join(given["tags"] or ()) or None
    return {field: value for field, value in given.items() if value is not None}
