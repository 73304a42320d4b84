"""Statements that are run often: SQLAlchemy compiles each once, the driver runs it as it is.

SQLAlchemy's work around an execution, to find its text and to describe the columns of the
result, takes several times as long as a database takes to find a row by its key.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlalchemy import ARRAY, Column, Connection, Dialect, String, Text, TypeDecorator, bindparam
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import SelectBase
from sqlalchemy.types import TypeEngine

from vifguard.store.schema.row_mapping import Record, Values

_Element = TypeVar("_Element", str, int)
_Process = Callable[[Any], Any]


class Statement:
    """A statement with parameters; its text is made where it is first run."""

    def __init__(self, statement: SelectBase | UpdateBase) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, ...], _Compiled] = {}

    def compiled_for(self, dialect: Dialect, values: Values) -> _Compiled:
        """The statement in a database's dialect, with parameters of the names in `values`."""
        which = (dialect.name, *values)
        compiled = self._compiled.get(which)
        if compiled is None:
            compiled = self._compiled[which] = _Compiled(self._statement, dialect, values)
        return compiled


@dataclass(frozen=True, slots=True)
class BoundStatement:
    """A statement and its parameters; with several sets of them it is run once for each."""

    statement: Statement
    values: Values | Sequence[Values]

    def execute(self, connection: Connection) -> PendingResult:
        """Hand it to the driver of a connection."""
        rows = (self.values,) if isinstance(self.values, dict) else self.values
        compiled = self.statement.compiled_for(connection.dialect, rows[0])
        cursor = connection.connection.cursor()
        if len(rows) == 1:
            cursor.execute(compiled.text, compiled.bound(rows[0]))
        else:
            cursor.executemany(compiled.text, [compiled.bound(each) for each in rows])
        return PendingResult(compiled, cursor)


@dataclass(frozen=True, slots=True)
class PendingResult:
    """A statement that the driver has; its rows may not be there yet."""

    compiled: _Compiled
    cursor: DBAPICursor

    def records(self) -> list[Record]:
        """The rows of the result."""
        return self.compiled.records(self.cursor)


class _Compiled:
    """A statement in one database's dialect, and the conversions of its parameters and rows."""

    def __init__(
        self, statement: SelectBase | UpdateBase, dialect: Dialect, values: Values
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=[*values])
        self.text = str(compiled)
        # By name: a statement may use one in several places.
        binds = {name: bind for bind, name in compiled.bind_names.items()}.items()
        self._fixed = {name: bind.value for name, bind in binds if not bind.required}
        self._there = _processed(
            (n, _of(b.type, dialect).bind_processor(dialect)) for n, b in binds
        )
        self._dialect = dialect
        self._columns = list(statement.exported_columns)
        names = [str(column.key) for column in self._columns]
        # Its columns are known here, and not to a type checker.
        made: Any = namedtuple("Record", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
        self._record: Callable[[Iterable[Any]], Record] = made._make
        self._back: list[tuple[int, _Process]] | None = None

    def bound(self, values: Values) -> Values:
        """The parameters as the driver takes them."""
        given = self._fixed | values
        for name, process in self._there:
            given[name] = process(given[name])
        return given

    def records(self, cursor: DBAPICursor) -> list[Record]:
        """The rows of a cursor."""
        if not self._columns:
            return []
        if self._back is None:
            self._back = self._record_type(cursor)
        rows: Iterable[Sequence[Any]] = cursor.fetchall()
        if self._back:
            rows = (_read(row, self._back) for row in rows)
        return [self._record(row) for row in rows]

    def _record_type(self, cursor: DBAPICursor) -> list[tuple[int, _Process]]:
        """The conversions of a result's columns, by the types that the driver reports."""
        found = zip(self._columns, cursor.description or (), strict=True)
        return _processed(
            (place, _of(column.type, self._dialect).result_processor(self._dialect, described[1]))
            for place, (column, described) in enumerate(found)
        )


def _read(row: Sequence[Any], back: Iterable[tuple[int, _Process]]) -> list[Any]:
    read = list(row)
    for place, process in back:
        read[place] = process(read[place])
    return read


class _Texts(TypeDecorator[list[str]]):
    """Several texts as one parameter: the statement is the same with any number of them."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return ARRAY(String) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else orjson.dumps(value).decode()


class in_list(FunctionElement[bool]):  # noqa: N801  written as the function it is
    """Whether a column is one of the texts that a parameter lists."""

    inherit_cache = True

    def __init__(self, column: Column[str], name: str) -> None:
        super().__init__(column, bindparam(name, type_=_Texts()))


@compiles(in_list, "sqlite")
def _sqlite(element: in_list, compiler: SQLCompiler, **words: Any) -> str:
    column, texts = (compiler.process(each, **words) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608  from our own parts


@compiles(in_list, "postgresql")
def _postgresql(element: in_list, compiler: SQLCompiler, **words: Any) -> str:
    column, texts = (compiler.process(each, **words) for each in element.clauses)
    return f"{column} = ANY ({texts})"


@contextmanager
def translated_errors(connection: Connection) -> Iterator[None]:
    """Raise SQLAlchemy's errors for those of a driver."""
    error_of_driver = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except error_of_driver as error:
        raise DBAPIError.instance(None, None, error, error_of_driver) from error


def _of(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    return kind.dialect_impl(dialect)


def _processed(
    which: Iterable[tuple[_Element, _Process | None]],
) -> list[tuple[_Element, _Process]]:
    return [(place, process) for place, process in which if process is not None]
