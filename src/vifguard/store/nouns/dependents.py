"""Words for the objects that depend on another: their ids, of other projects' their number."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Table, func, select

from vifguard.store.transaction import Snapshot

_SHOWN: Final = 3


def words_for(
    snapshot: Snapshot, table: Table, which: ColumnElement[bool], owner: str
) -> tuple[str, str]:
    """The rows of a table that depend on an object of project `owner`: the first ones' ids.

    The second text is for `owner` itself, and has the number of other projects' rows in place of
    their ids. Both are empty where nothing depends on the object.
    """
    theirs = table.c.project_id != owner
    count = select(func.count()).select_from(table).where(which, theirs)
    others = snapshot.connection.scalar(count) or 0
    own = _first(snapshot, table, which & ~theirs)
    discreet = [*own, f"{others} of other projects"] if others else own
    return ", ".join(_first(snapshot, table, which)), ", ".join(discreet)


def _first(snapshot: Snapshot, table: Table, which: ColumnElement[bool]) -> list[str]:
    ids = select(table.c.id).where(which).order_by(table.c.id).limit(_SHOWN)
    return list(snapshot.connection.scalars(ids))
