"""`vifguard drops`: the dropped frames, with the guard and the reason of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NoReturn

import typer

from vifguard.cli.lookup import completer, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import (
    Column,
    note,
    print_json,
    print_json_line,
    print_line,
    print_table,
)
from vifguard.cli.show.times import epoch, moment
from vifguard.client.errors import NotAllowedError, NotFoundError
from vifguard.client.resource import HOST, PORT

Record = dict[str, Any]

PERIOD = 1.0
"""Seconds between two looks with --follow."""

KINDS = (
    Column("FIRST", "first_at", moment),
    Column("LAST", "last_at", moment),
    Column("PORT", "port"),
    Column("DIRECTION", "direction"),
    Column("GUARD", "guard"),
    Column("REASON", "reason"),
    Column("RECORDS", "records"),
)
COUNTS = (
    Column("PORT", "port"),
    Column("DIRECTION", "direction"),
    Column("GUARD", "guard"),
    Column("FRAMES", "frames"),
)
RECORDS = (
    Column("AT", "at", moment),
    Column("PORT", "port"),
    Column("DIRECTION", "direction"),
    Column("GUARD", "guard"),
    Column("REASON", "reason"),
    Column("BYTES", "length"),
    Column("FRAME", "frame"),
    Column("HINT", "hint"),
)
TABLES = (
    ("frames dropped, by guard:", COUNTS, "counts"),
    ("kinds of drops, by the records of them:", KINDS, "kinds"),
    ("the latest records:", RECORDS, "drops"),
)
"""The title, the columns and the answer's part of each table."""

Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[PORT]",
        help="Only drops at this port; name or id. Default: at all of your ports.",
        autocompletion=completer(PORT),
    ),
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Keep printing frames as they are dropped.")
]


Guards = Annotated[
    list[str] | None,
    typer.Option("--guard", help="Only drops by this guard, such as ip or mac; repeatable."),
]
Way = Annotated[
    str | None,
    typer.Option("--direction", help="Only frames in this direction: from-guest or to-guest."),
]
Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", help="Only drops for this reason, as the tables name it; repeatable."),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="AGO|TIME",
        help="Only records of the last 30s, 10m, 2h or 1d, or since a time; without the number of "
        "frames by guard. A kind that came again in that time has the number of all its records.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=0, help="Show at most this many records, the latest. 0: only the numbers and the kinds."
    ),
]


@with_session
def drops(
    session: Session,
    which: Which = None,
    *,
    guard: Guards = None,
    direction: Way = None,
    reason: Reasons = None,
    since: Since = None,
    limit: Limit = None,
    follow: Follow = False,
) -> None:
    """Show the frames that were dropped at your ports: by which guard, and for which reason.

    First the number of frames that each guard dropped. Then the kinds of drops: not every frame
    is recorded, so a kind has the number of its records. Last the latest records, each with its
    frame. from-guest: the port's guest sent it; to-guest: it was sent to the guest. docs/guards.md
    explains guards and reasons.
    """
    asked = values.present(
        guard=guard,
        direction=direction,
        reason=reason,
        since=None if since is None else f"{epoch(since):.3f}",
        limit=limit,
    )
    port_id = None if which is None else _port_id(session, which)
    if follow:
        _follow(session, port_id, asked)
        return
    found = session.client.drops(port_id, **asked)
    if session.json:
        print_json(found)
        return
    _print(found, names_of(session, PORT))


def _print(found: Record, names: Mapping[str, str]) -> None:
    """A table of each part that is not empty."""
    filled = [(title, columns, found[part]) for title, columns, part in TABLES if found[part]]
    if not filled:
        note("no frame was dropped, or none that matches")
    for place, (title, columns, items) in enumerate(filled):
        if place:
            print_line("")
        note(title)
        print_table(columns, [_for_people(one, names) for one in items])


def _port_id(session: Session, which: str) -> str:
    try:
        return id_of(session, PORT, which)
    except NotFoundError as error:
        if not _sees_hosts(session):
            raise
        elsewhere = "interfaces without a port are named by `vifguard host show`"
        raise NotFoundError(error.status, error.kind, f"{error.message}; {elsewhere}") from None


def _sees_hosts(session: Session) -> bool:
    try:
        session.client.list(HOST)
    except NotAllowedError:
        return False
    return True


def _follow(session: Session, port_id: str | None, asked: Record) -> NoReturn:
    for record in _new_records(session, port_id, asked):
        if session.json:
            print_json_line(record)
        else:
            shown = _for_people(record, names_of(session, PORT))
            print_line("  ".join(column.cell(shown) for column in RECORDS))
    raise AssertionError("the stream of records never ends")


def _new_records(session: Session, port_id: str | None, asked: Record) -> Iterator[Record]:
    """Records as they come, for ever; the server's recent ones first."""
    filters = {name: value for name, value in asked.items() if name != "limit"}
    seen: frozenset[str] = frozenset()
    # Only the first look is cut: later records are all shown.
    most = asked.get("limit")
    while True:
        found = {repr(one): one for one in session.client.drops(port_id, **filters)["drops"]}
        new = [record for key, record in found.items() if key not in seen]
        yield from new if most is None else new[max(len(new) - most, 0) :]
        seen, most = frozenset(found), None
        time.sleep(PERIOD)


def _for_people(record: Record, names: Mapping[str, str]) -> Record:
    """The port by its name, and the frame as text or else as its first bytes."""
    port = names.get(record["port_id"], record["port_id"])
    return {**record, "port": port, "frame": record.get("decoded") or record.get("head")}
