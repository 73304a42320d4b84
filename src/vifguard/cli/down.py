"""`vifguard down`: stop what runs here; the guards stay unless they are to be removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vifguard.cli.exits import ExitCode, InputError
from vifguard.cli.output import note, print_json, print_line
from vifguard.cli.session import DATA_DIR, Json
from vifguard.cli.up import BPF_DIR, Attach, DataDir, uses_tcx

if TYPE_CHECKING:
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout

Remove = Annotated[
    bool, typer.Option("--remove", help="Take guards, bridges and the floor away as well.")
]
BpfDir = Annotated[
    Path | None, typer.Option(help="Where guards are pinned; else where the last agent did.")
]
PATIENCE = 10.0
"""Seconds that a process has to end."""


def down(
    data_dir: DataDir = DATA_DIR,
    bpf_dir: BpfDir = None,
    attach: Attach = None,
    *,
    remove: Remove = False,
    json: Json = False,
) -> None:
    """Stop the server and the agent of this host.

    The guards stay in force. With --remove each guarded interface is cut off from its
    network and then loses its guard.
    """
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout

    layout = Layout(data_dir)
    stopped = _stop(layout)
    pinned = bpf_dir or layout.bpf_dir() or BPF_DIR
    if remove:
        _remove(layout, Settings(bpf_dir=pinned, tcx=uses_tcx(attach)))
    if json:
        print_json({"stopped": stopped, "removed": str(pinned) if remove else None})
        return
    print_line(f"stopped process {', '.join(map(str, stopped))}" if stopped else "nothing runs")
    if remove:
        print_line(f"removed the guards in {pinned}, the bridges and the floor")


def _stop(layout: Layout) -> list[int]:
    from vifguard.cli.service import pid_file

    try:
        pids = {pid_file.stop(layout.pid_file(duty), PATIENCE) for duty in ("server", "agent")}
    except TimeoutError as error:
        note(f"vifguard: {error}")
        raise typer.Exit(ExitCode.REFUSED) from None
    return sorted(pid for pid in pids if pid is not None)


def _remove(layout: Layout, settings: Settings) -> None:
    from vifguard.agent.remove import remove
    from vifguard.cli.service import pid_file
    from vifguard.enforce.driver import DriverError

    layout.prepare()
    # No agent may start meanwhile: it would guard again what loses its guard here.
    with pid_file.held(layout.pid_file("agent")):
        try:
            remove(settings)
        except (DriverError, OSError) as error:
            raise InputError(f"not everything could be removed: {error}") from None
