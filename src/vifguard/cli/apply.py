"""`vifguard apply`: bring what a file declares into being, and say what that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vifguard.cli.output import note, print_json, print_line, progress
from vifguard.cli.session import Session, with_session

File = Annotated[
    Path, typer.Option("--file", "-f", help="The cloud file; docs/apply.md says what it holds.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would change.")]
Prune = Annotated[
    bool,
    typer.Option("--prune", help="Delete what the file's projects have and it does not declare."),
]


@with_session
def apply(session: Session, file: File, *, dry_run: DryRun = False, prune: Prune = False) -> None:
    """Bring the networks, subnets, groups and ports of a file into being.

    The whole file is checked before anything changes; when the server refuses a step, the
    steps taken before it are taken back. A second run changes nothing.
    """
    from vifguard.cli.declared.carry_out import carry_out
    from vifguard.cli.declared.plan import plan
    from vifguard.cli.declared.wording import change_of, line_of

    steps = plan(session.client, file, prune=prune)
    if not session.json:
        for line in [line_of(step) for step in steps] or ["no changes"]:
            print_line(line)
    if steps and not dry_run:
        with progress("applying", len(steps)) as advance:
            carry_out(session.client, steps, lambda _: advance())
        note(f"{len(steps)} change{'s' if len(steps) > 1 else ''} applied")
    if session.json:
        print_json({"applied": not dry_run, "changes": [change_of(step) for step in steps]})
