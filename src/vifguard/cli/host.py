"""`vifguard host`: the hosts that hold the guards, and whether this one can."""

from __future__ import annotations

import typer

from vifguard.cli.exits import ExitCode, InputError
from vifguard.cli.output import Column, print_item, print_json, waiting
from vifguard.cli.reading import add_show, noun_app
from vifguard.cli.session import Json, Session, with_session
from vifguard.cli.times import moment
from vifguard.cli.up import BPF_DIR, BpfDir
from vifguard.client.resource import HOST

app = noun_app(HOST, "Hosts: what each can enforce, and what it lacks.")
add_show(app, HOST)

COLUMNS = (
    Column("NAME", "name"),
    Column("ALIVE", "alive"),
    Column("KERNEL", "kernel"),
    Column("DRIVER", "driver"),
    Column("MISSING", "missing"),
    Column("FLOOR", "floor"),
    Column("ISOLATION", "isolation"),
    Column("SEEN", "seen_at", moment),
)


@app.command("list")
@with_session
def list_hosts(session: Session) -> None:
    """The hosts that have reported."""
    session.table(COLUMNS, session.client.list(HOST))


@app.command()
def check(bpf_dir: BpfDir = BPF_DIR, *, json: Json = False) -> None:
    """Try what guards need on this very host; exit code 1 when something is missing.

    Needs root, and leaves nothing behind. A running agent is not disturbed.
    """
    from vifguard.agent.check import host_report

    try:
        with waiting("trying what guards need"):
            report = host_report(bpf_dir)
    except OSError as error:
        raise InputError(f"this host cannot be tried: {error}; run it as root") from None
    found = {
        "kernel": report.kernel,
        "driver": report.driver,
        "features": sorted(report.features),
        "missing": list(report.missing),
        "floor": list(report.floor),
        "isolation": report.isolation,
    }
    if json:
        print_json(found)
    else:
        print_item(found)
    if report.missing:
        raise typer.Exit(ExitCode.REFUSED)
