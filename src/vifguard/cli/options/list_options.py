"""Options that every list has: filters, and the page."""

# Annotations here are read when the module is, so they are not postponed.

from typing import Annotated, Any

import typer

from vifguard.cli.options.added_options import Options, with_options

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
_OPTIONS: Options = {
    "project": (_Project, None),
    "name": (_Name, None),
    "tag": (_Tag, None),
    "limit": (_Limit, None),
    "after": (_After, None),
}


def _query(**options: Any) -> Query:
    words = {"project": "project_id", "tag": "tags", "after": "marker"}
    given = {words.get(option, option): value for option, value in options.items()}
    given["tags"] = ",".join(given["tags"] or ()) or None
    return {field: value for field, value in given.items() if value is not None}


with_list_options = with_options("query", _OPTIONS, _query)
"""Add the options of a list to a command, whose `query` is the list's query."""
