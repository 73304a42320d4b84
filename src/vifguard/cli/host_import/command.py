"""`vifguard host adopt`: a bridge's members, a file for `vifguard apply`, and a rehearsal."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

import typer

from vifguard.cli.commands.up import Trust
from vifguard.cli.exit_codes import InputError
from vifguard.cli.host_import.findings import Found, show
from vifguard.cli.session import Json
from vifguard.cli.show.output import note
from vifguard.model.guard import Profile

OfBridge = Annotated[str, typer.Option(help="The operator's bridge that the guests are on.")]
Physical = Annotated[
    str,
    typer.Option(
        help="The name of the network in the file, and of the bridge in a later `vifguard up "
        "--physical NAME=BRIDGE`."
    ),
]
File = Annotated[
    Path | None,
    typer.Option("--file", "-f", help="Rehearse the ports of this file, instead of a new one's."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the file for `vifguard apply` here.")
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Project = Annotated[str, typer.Option(help="The project that will own the ports.")]
GuardProfile = Annotated[
    Profile | None,
    typer.Option("--guard-profile", help="The guard profile of the ports. Default: strict."),
]
HostName = Annotated[str, typer.Option("--host", help="This host's name, as `vifguard up --host`.")]
Listen = Annotated[
    float, typer.Option(min=0, help="Seconds to look at what the guests send, for their addresses.")
]
Leases = Annotated[
    list[Path] | None,
    typer.Option(help="A lease file of dnsmasq besides the usual ones; repeatable."),
]
Rehearse = Annotated[
    float,
    typer.Option(
        "--rehearse",
        min=0,
        metavar="SECONDS",
        help="For this many seconds, count what the guards of the declared ports would drop, and "
        "drop nothing.",
    ),
]


def adopt(
    bridge: OfBridge,
    physical: Physical = "lan",
    output: Output = None,
    file: File = None,
    project: Project = "operator",
    profile: GuardProfile = None,
    host: HostName = "",
    trust: Trust = None,
    listen: Listen = 10.0,
    leases: Leases = None,
    rehearse: Rehearse = 0.0,
    *,
    force: Force = False,
    json: Json = False,
) -> None:
    """List the guests on a bridge of this host: interfaces, MACs, addresses. Changes nothing.

    Writes a file for `vifguard apply` that declares a port for each guest. With --rehearse it
    counts what the guards of these ports would drop. docs/existing-host.md walks through it.
    """
    from vifguard.cli.apply.load import DocumentError, read_document
    from vifguard.cli.host_import.declare import HostChoices, document
    from vifguard.survey import rehearsal, server_objects
    from vifguard.survey.survey import survey

    if output is not None and not force:
        _refuse_to_replace(output)
    name = host or socket.gethostname()
    choice = HostChoices(physical, physical, project, name, profile.value if profile else None)
    try:
        plugged, pairs = server_objects.plugged(), server_objects.leases(leases or ())
        if listen:
            note(f"listening {listen:g} s on {bridge}")
        found = survey(bridge, listen, trust or (), plugged, pairs)
        declared = document(found, choice) if file is None else read_document(file)
        policies, result = rehearsal.declared(declared, found), None
        if rehearse:
            note(f"rehearsing {rehearse:g} s")
            portless = [x.name for x in rehearsal.undeclared(policies, found) if not x.port_id]
            result = rehearsal.rehearse(policies, rehearse, portless)
    except (ValueError, DocumentError) as error:
        raise InputError(str(error)) from None
    except OSError as error:
        raise InputError(f"this host cannot be read: {error}; run it as root") from None
    absent = rehearsal.absent(declared, policies)
    others = [x.name for x in rehearsal.undeclared(policies, found) if x.port_id]
    seen = Found(found, declared, absent, others, result, file or output)
    if output is not None:
        _write(output, seen)
    show(seen, output, json=json)


def _refuse_to_replace(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} exists: overwrite it by --force, or give another name")


def _write(path: Path, found: Found) -> None:
    import yaml

    from vifguard.cli.host_import.declare import comments

    head = "".join(f"# {line}\n" for line in comments(found.survey))
    text = yaml.safe_dump(found.document, sort_keys=False, default_flow_style=None, width=100)
    try:
        path.write_text(head + "\n" + text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
