"""`vifguard host`: the hosts that hold the guards, and whether this one can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from vifguard.cli.commands.up import BPF_DIR, BpfDir
from vifguard.cli.exit_codes import ExitCode, InputError
from vifguard.cli.host_import.command import adopt
from vifguard.cli.lookup import completer
from vifguard.cli.session import Json, Session, with_session
from vifguard.cli.show.output import Column, print_item, print_json, waiting
from vifguard.cli.show.times import moment
from vifguard.cli.standard_commands import add_show, noun_app
from vifguard.client.errors import RefusedError
from vifguard.client.resource import HOST, PORT

app = noun_app(HOST, "Hosts: what each can enforce, and what is missing.")
add_show(app, HOST)

app.command("adopt")(adopt)
SILENT_AFTER = 10.0
"""Seconds after which guards that were not read back are said to be so."""

_NAME = typer.Argument(metavar="NAME", help="The host's name.", autocompletion=completer(HOST))
Force = Annotated[bool, typer.Option("--force", help="Even if it has ports.")]


def _heads(texts: Sequence[str]) -> str:
    """Each text up to its colon: `show` has the whole."""
    return ", ".join(text.partition(":")[0] for text in texts)


COLUMNS = (
    Column("NAME", "name"),
    Column("ALIVE", "alive"),
    Column("KERNEL", "kernel"),
    Column("DRIVER", "driver"),
    Column("ISOLATION", "isolation"),
    Column("MISSING", "missing", _heads),
    Column("DEGRADED", "degraded", _heads),
    Column("SEEN", "seen_at", moment),
)


@app.command("list")
@with_session
def list_hosts(session: Session) -> None:
    """The hosts that have reported, with the heads of what is missing: `show` has all of it."""
    session.table(COLUMNS, session.client.list(HOST))


@app.command()
@with_session
def delete(session: Session, name: Annotated[str, _NAME], *, force: Force = False) -> None:
    """Forget a host that is silent and has no ports.

    With --force it may have ports. They wait until it reports again.
    """
    try:
        session.client.delete(HOST, name, force=force)
    except RefusedError as error:
        bound = [] if force else session.client.list(PORT, **{"binding:host_id": name})
        if not bound or session.client.show(HOST, name)["alive"]:
            raise
        are_on = "port is on" if len(bound) == 1 else "ports are on"
        why = (
            f"{len(bound)} {are_on} host {name}: put them on another by `vifguard port set "
            "--host`, delete them, or give --force: they then wait until it reports again"
        )
        raise RefusedError(error.status, error.kind, why) from None
    session.done(f"deleted {name}", {"deleted": [name]})


@app.command()
def check(bpf_dir: BpfDir = BPF_DIR, *, json: Json = False) -> None:
    """Check that this host has what guards need, and that its running agent is well.

    Exit code 1 when something is missing, or the agent is degraded. Needs root, and leaves
    nothing behind. A running agent is not disturbed.
    """
    from vifguard.agent.host.capabilities import host_report
    from vifguard.agent.wiring.unguarded_members import unguarded

    try:
        with waiting("trying what guards need"):
            report, bare = host_report(bpf_dir), [str(each) for each in unguarded()]
    except OSError as error:
        raise InputError(f"this host cannot be checked: {error}; run it as root") from None
    agent, why = _agent(bpf_dir)
    found = {
        "kernel": report.kernel,
        "driver": report.driver,
        "features": sorted(report.features),
        "missing": list(report.missing),
        "quarantine": list(report.quarantine),
        "isolation": report.isolation,
        "refused_guards": list(report.refused_guards),
        "unguarded": bare,
        "agent": agent,
    }
    if json:
        print_json(found)
    else:
        print_item(found | ({} if agent else {"agent": f"none runs (--bpf-dir {bpf_dir})"}))
    if report.missing or why:
        raise typer.Exit(ExitCode.REFUSED)


def _agent(bpf_dir: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The state that the agent running here reports, and its faults."""
    from vifguard.agent.reporting.run_file import running

    found = running(bpf_dir)
    if found is None:
        return None, []
    why = list(found.degraded)
    if found.read_back_ago > SILENT_AFTER:
        why.append(f"the guards were last read back {moment(found.read_back_at) or 'never'}")
    return {
        "pid": found.pid,
        "host": found.host,
        "guards_read_back": moment(found.read_back_at or None),
        "degraded": why,
        "lost": dict(found.lost),
    }, why
