"""Tags of any noun that has a stamp."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import update

from vifguard.model.noun import Noun
from vifguard.store.schema.noun_tables import TABLE_OF
from vifguard.store.stored_nouns import Stamp
from vifguard.store.transaction import WriteTransaction


def write(
    change: WriteTransaction, noun: Noun, ident: str, stamp: Stamp, tags: Iterable[str]
) -> None:
    """Give an object these tags and no others; the same tags are no change."""
    wanted = sorted(set(tags))
    if wanted == list(stamp.tags):
        return
    table = TABLE_OF[noun]
    values = {"tags": wanted or None} | change.updated_stamp(stamp)
    change.connection.execute(update(table).where(table.c.id == ident).values(values))
