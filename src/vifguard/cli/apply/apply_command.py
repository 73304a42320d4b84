"""`vifguard apply`: create and change the objects that a file declares, and report each change."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import note, print_json, print_line, progress

File = Annotated[
    Path, typer.Option("--file", "-f", help="The cloud file; docs/apply.md says what it holds.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would change.")]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Delete what an earlier `apply` created in the file's projects and the file no "
        "longer declares.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking.")]


@with_session
def apply(
    session: Session,
    file: File,
    *,
    dry_run: DryRun = False,
    prune: Prune = False,
    yes: Yes = False,
) -> None:
    """Create and change networks, subnets, groups and ports as a file declares them.

    The whole file is checked before anything changes. If the server refuses a step, the steps
    before it are undone. A second run changes nothing.
    """
    from vifguard.cli.apply.diff import Delete
    from vifguard.cli.apply.execute import carry_out
    from vifguard.cli.apply.plan import plan
    from vifguard.cli.apply.render import change_of, kept_of, line_of

    planned = plan(session.client, file, prune=prune)
    steps = planned.steps
    if not session.json:
        for line in [line_of(step, planned.names) for step in steps] or ["no changes"]:
            print_line(line)
        for kept in planned.kept:
            note(str(kept))
    if not (dry_run or yes):
        _confirm([str(step) for step in steps if isinstance(step, Delete)])
    if steps and not dry_run:
        with progress("applying", len(steps)) as advance:
            carry_out(session.client, steps, lambda _: advance())
        note(f"{len(steps)} change{'s' if len(steps) > 1 else ''} applied")
    if session.json:
        print_json(
            {"applied": not dry_run, "changes": [change_of(step) for step in steps]}
            | ({"kept": [kept_of(one) for one in planned.kept]} if prune else {})
        )


def _confirm(deleted: Sequence[str]) -> None:
    """Confirm that these are deleted; without a terminal that takes --yes."""
    if not deleted:
        return
    if not sys.stdin.isatty():
        raise InputError(
            f"{', '.join(deleted)} would be deleted: confirm by --yes; nothing was changed"
        )
    note(f"deleted: {', '.join(deleted)}")
    if not typer.confirm("Apply?", err=True):
        raise typer.Exit(ExitCode.REFUSED)
