"""Rows of another table inside a row: an object is read with all its parts by one statement."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Dialect, LargeBinary, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Rows(TypeDecorator[list[list[Any]]]):
    """Text that a database wrote as JSON for us."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[list[Any]]:
        del dialect
        return orjson.loads(value) if value else []


class json_rows(FunctionElement[list[list[Any]]]):  # noqa: N801  written as the function it is
    """An aggregate: for each row the list of these columns, in no order; octets in hexadecimal."""

    type = _Rows()
    inherit_cache = True


@compiles(json_rows, "sqlite")
def _sqlite(element: json_rows, compiler: SQLCompiler, **words: Any) -> str:
    return f"json_group_array(json_array({_columns(element, compiler, 'hex({})', words)}))"


@compiles(json_rows, "postgresql")
def _postgresql(element: json_rows, compiler: SQLCompiler, **words: Any) -> str:
    columns = _columns(element, compiler, "encode({}, 'hex')", words)
    return f"CAST(json_agg(json_build_array({columns})) AS text)"


def _columns(element: json_rows, compiler: SQLCompiler, octets: str, words: dict[str, Any]) -> str:
    return ", ".join(
        (octets if isinstance(each.type, LargeBinary) else "{}").format(
            compiler.process(each, **words)
        )
        for each in element.clauses
    )
