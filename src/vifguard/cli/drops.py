"""`vifguard drops`: which frames were refused, by which guard, and why."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NoReturn

import typer

from vifguard.cli.names import completer, id_of, names_of
from vifguard.cli.output import Column, print_json, print_json_line, print_line, print_table
from vifguard.cli.session import Session, with_session
from vifguard.cli.times import moment
from vifguard.client.errors import NotFoundError
from vifguard.client.resource import PORT

Record = dict[str, Any]

PERIOD = 1.0
"""Seconds between two looks with --follow."""

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

Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[PORT]", help="Only this port's; name or id.", autocompletion=completer(PORT)
    ),
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on printing frames as they are refused.")
]


@with_session
def drops(session: Session, which: Which = None, *, follow: Follow = False) -> None:
    """Show the frames that were refused, by which guard, and why."""
    port_id = None if which is None else _port_id(session, which)
    if follow:
        _follow(session, port_id)
        return
    found = session.client.drops(port_id)
    if session.json:
        print_json(found)
        return
    names = names_of(session, PORT)
    print_table(COUNTS, [_for_people(one, names) for one in found["counts"]])
    print_line("")
    print_table(RECORDS, [_for_people(one, names) for one in found["drops"]])


def _port_id(session: Session, which: str) -> str:
    try:
        return id_of(session, PORT, which)
    except NotFoundError as error:
        elsewhere = "interfaces without a port are named by `vifguard host show`"
        raise NotFoundError(error.status, error.kind, f"{error.message}; {elsewhere}") from None


def _follow(session: Session, port_id: str | None) -> NoReturn:
    for record in _new_records(session, port_id):
        if session.json:
            print_json_line(record)
        else:
            shown = _for_people(record, names_of(session, PORT))
            print_line("  ".join(column.cell(shown) for column in RECORDS))
    raise AssertionError("the records never end")


def _new_records(session: Session, port_id: str | None) -> Iterator[Record]:
    """Records as they come, for ever; the server's recent ones first."""
    seen: frozenset[str] = frozenset()
    while True:
        found = {repr(record): record for record in session.client.drops(port_id)["drops"]}
        yield from sorted(
            (record for key, record in found.items() if key not in seen),
            key=lambda record: str(record["at"]),
        )
        seen = frozenset(found)
        time.sleep(PERIOD)


def _for_people(record: Record, names: Mapping[str, str]) -> Record:
    """The port by its name, and the frame as text or else as its first bytes."""
    port = names.get(record["port_id"], record["port_id"])
    return {**record, "port": port, "frame": record.get("decoded") or record.get("head")}
