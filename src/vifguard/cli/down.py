"""`vifguard down`: stop what runs here; the guards stay unless they are to be removed."""

from __future__ import annotations

from typing import Annotated

import typer

from vifguard.cli.exits import ExitCode
from vifguard.cli.output import note, print_line
from vifguard.cli.session import DATA_DIR, Json
from vifguard.cli.up import BPF_DIR, BpfDir, DataDir

Remove = Annotated[
    bool, typer.Option("--remove", help="Take guards, bridges and the floor away as well.")
]
PATIENCE = 10.0


def down(
    data_dir: DataDir = DATA_DIR,
    bpf_dir: BpfDir = BPF_DIR,
    *,
    remove: Remove = False,
    json: Json = False,
) -> None:
    """Stop the server and the agent of this host."""
    from vifguard.cli.service import pid_file
    from vifguard.cli.service.data_dir import DataDir as Layout

    layout = Layout(data_dir)
    try:
        pids = {pid_file.stop(layout.pid_file(duty), PATIENCE) for duty in ("server", "agent")}
    except TimeoutError as error:
        note(f"vifguard: {error}")
        raise typer.Exit(ExitCode.REFUSED) from None
    stopped = sorted(pid for pid in pids if pid is not None)
    if not json:
        print_line(f"stopped process {', '.join(map(str, stopped))}" if stopped else "nothing runs")
