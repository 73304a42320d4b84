"""Batches: statements that are sent together, and what is decided by their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from vifguard.store.database.statements import BoundStatement, Statement
from vifguard.store.schema.row_mapping import Record, Values

if TYPE_CHECKING:
    from vifguard.store.transaction import Snapshot

ResultT = TypeVar("ResultT")
DecidedT = TypeVar("DecidedT")


@dataclass(slots=True)
class QueuedStatement:
    """A statement that waits to be sent; `records` are its rows once it was."""

    bound: BoundStatement
    records: list[Record] | None = None


class Pending(Generic[ResultT]):
    """The result of a statement of a batch. It is there when the batch has ended."""

    def __init__(self, read: Callable[[], ResultT]) -> None:
        self._read = read
        self._results: list[ResultT] = []

    def result(self) -> ResultT:
        """The result: parsed at the first read, then kept. Raises the StoreErrors of parsing."""
        if not self._results:
            self._results.append(self._read())
        return self._results[0]

    def then(self, decide: Callable[[ResultT], DecidedT]) -> Pending[DecidedT]:
        """The decision by the result, made when it is read; it may raise a StoreError."""
        return Pending(lambda: decide(self.result()))


class Batch:
    """Statements on a snapshot that are queued; `Snapshot.batch` sends them together."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.is_empty = True

    def queue(
        self, statement: Statement, values: Values, read: Callable[[list[Record]], ResultT]
    ) -> Pending[ResultT]:
        """Queue a statement; `read` parses its rows."""
        self.is_empty = False
        queued = self.snapshot.enqueue(statement, values)

        def read_records() -> ResultT:
            if queued.records is None:
                raise RuntimeError("a result is read within its batch: read it behind the block")
            return read(queued.records)

        return Pending(read_records)
