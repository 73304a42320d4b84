"""The columns that many tables have.

An address is kept as its key: one byte for the family (4 or 6) and the packed address, so
that byte order is address order in every database and families never mix in a range.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, MetaData, String

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

ID = String(36)
KEY = LargeBinary(17)


def json(name: str) -> Column[object]:
    """A column of JSON; None is SQL's null."""
    return Column(name, JSON(none_as_null=True))


def stamp() -> tuple[Column[Any], ...]:
    """The columns of a stamp: revision number, times (microseconds since the epoch), and tags."""
    return (
        Column("revision_number", Integer, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        json("tags"),
    )


def text(name: str, length: int = 255) -> Column[str]:
    """A column of text, of at most so many characters; empty for none."""
    return Column(name, String(length), nullable=False)
