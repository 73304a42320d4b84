"""`vifguard down`: stop server and agent; the guards stay unless they are to be removed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vifguard.cli.commands.up import BPF_DIR, Attach, DataDir, uses_tcx
from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.session import DATA_DIR, Json
from vifguard.cli.show.output import note, print_json, print_line

if TYPE_CHECKING:
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout

Remove = Annotated[
    bool,
    typer.Option(
        "--remove",
        help="Cut every guest off, then remove everything that vifguard put on this host.",
    ),
]
Release = Annotated[
    bool,
    typer.Option(
        "--release",
        help="Give every interface back as it was found, then remove everything that vifguard put "
        "on this host. Guests on bridges that vifguard made lose their network.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before guests are cut off.")]
BpfDir = Annotated[
    Path | None,
    typer.Option(
        resolve_path=True,
        help="Where guards are pinned. Default: where the last agent pinned them.",
    ),
]
PATIENCE = 10.0
"""Seconds that a process has to end."""


def down(
    data_dir: DataDir = DATA_DIR,
    bpf_dir: BpfDir = None,
    attach: Attach = None,
    *,
    remove: Remove = False,
    release: Release = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Stop the server and the agent of this host.

    The guards stay in force. With --release interfaces and bridges become what they were before
    vifguard changed them, and the guards go last: guests on the operator's bridges keep their
    network, those on bridges that vifguard made lose it with the bridge. With --remove each
    guarded interface is cut off (out of its bridge, and down) and then loses its guard.
    """
    from vifguard.agent.settings import Settings
    from vifguard.cli.service.data_dir import DataDir as Layout
    from vifguard.enforce.drivers import DriverSettings, EbpfSettings

    if remove and release:
        raise InputError(
            "--remove and --release exclude each other: --remove cuts the guests off, --release "
            "does not"
        )
    layout = Layout(data_dir)
    pinned = bpf_dir or layout.bpf_dir() or BPF_DIR
    drivers = DriverSettings(pinned, EbpfSettings(uses_tcx(attach)))
    settings = Settings(drivers, record=layout.former)
    if (remove or release) and not yes:
        _confirm(settings, remove=remove)
    done: dict[str, Any] = {"stopped": _stop(layout), "removed": None}
    if remove:
        with _alone(layout):
            _remove(settings)
    if release:
        with _alone(layout):
            done |= _release(settings)
    if remove or release:
        done["removed"] = str(pinned)
    if json:
        print_json(done)
    else:
        _print(done)
    if done.get("failed"):
        raise typer.Exit(ExitCode.REFUSED)


def _confirm(settings: Settings, *, remove: bool) -> None:
    """List the interfaces that will be cut off and confirm; without a terminal that takes --yes."""
    from vifguard.agent.host.restore import cut_off_by_release
    from vifguard.agent.host.teardown import cut_off_by_removal
    from vifguard.agent.wiring.unguarded_members import unguarded

    try:
        lost = cut_off_by_release(settings.drivers.state_dir, settings.record)
        names = lost
        if remove:
            names = cut_off_by_removal(settings.drivers.state_dir, settings.record)
        dropped = [each.link.name for each in unguarded() if not each.forwards]
    except OSError as error:
        raise InputError(f"cannot read what is guarded on this host: {error}") from None
    if not names:
        return
    whose = "interface loses its" if len(names) == 1 else "interfaces lose their"
    what = f"{len(names)} {whose} network: {', '.join(names)}"
    if not remove:
        what += " (they are on bridges of vifguard's, which are removed)"
    strangers = ", ".join(sorted({*dropped} - {*names}))
    if remove and strangers:
        what += f"; the member filter is removed, and these forward without a guard: {strangers}"
    kept = ", ".join(sorted({*names} - {*lost}))
    if not sys.stdin.isatty():
        instead = f"; with --release these keep it: {kept}" if kept else ""
        raise InputError(f"{what}; confirm by --yes{instead}")
    note(what)
    if not typer.confirm("Cut them off?", err=True):
        raise typer.Exit(ExitCode.REFUSED)


def _print(done: dict[str, Any]) -> None:
    stopped = ", ".join(map(str, done["stopped"]))
    print_line(f"stopped process {stopped}" if stopped else "no server or agent runs here")
    for name, bridge in done.get("released", {}).items():
        print_line(f"gave back {name}" + (f" to {bridge}" if bridge else ""))
    for why in done.get("failed", ()):
        note(f"vifguard: not given back: {why}")
    if done["removed"]:
        print_line(f"removed the guards in {done['removed']}, the bridges and the quarantine")


def _stop(layout: Layout) -> list[int]:
    from vifguard.cli.service import pid_file

    try:
        # The agent first: else it could not report its end, and its host would seem to live.
        pids = [pid_file.stop(layout.pid_file(duty), PATIENCE) for duty in ("agent", "server")]
    except TimeoutError as error:
        note(f"vifguard: {error}")
        raise typer.Exit(ExitCode.REFUSED) from None
    return sorted({pid for pid in pids if pid is not None})


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Keep any agent from starting meanwhile: it would guard again the interfaces freed here."""
    from vifguard.cli.service import pid_file
    from vifguard.enforce.driver.protocol import DriverError

    layout.prepare()
    with pid_file.held(layout.pid_file("agent")):
        try:
            yield
        except (DriverError, OSError) as error:
            raise InputError(f"not everything could be removed: {error}") from None


def _remove(settings: Settings) -> None:
    from vifguard.agent.host.teardown import teardown

    teardown(settings)


def _release(settings: Settings) -> dict[str, Any]:
    from vifguard.agent.host.restore import restore

    found = restore(settings)
    return {"released": dict(found.interfaces), "failed": list(found.failed)}
