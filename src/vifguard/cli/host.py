"""`vifguard host`: the hosts that hold the guards, and whether this one can."""

from __future__ import annotations

from vifguard.cli.output import Column
from vifguard.cli.reading import add_show, noun_app
from vifguard.cli.session import Session, with_session
from vifguard.cli.times import moment
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
