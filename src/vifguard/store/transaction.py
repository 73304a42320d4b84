"""Read and write transactions; the modules of the nouns work on these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RootTransaction,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    null,
    select,
    update,
)

from vifguard.model.address import BASE_MAC, IPNetwork
from vifguard.resolve.affected import (
    AffectedPorts,
    AllPorts,
    PortsInGroup,
    PortsOnNetwork,
    ThesePorts,
)
from vifguard.store.batch import Batch, QueuedStatement
from vifguard.store.database.notification import Notification
from vifguard.store.database.statements import BoundStatement, Statement, in_list
from vifguard.store.reports.heartbeats import Heartbeats
from vifguard.store.schema.row_mapping import Record, Values
from vifguard.store.schema.tables import journal, port_security_groups, ports, revision, set_journal
from vifguard.store.stored_nouns import Stamp

ExecuteBatch = Callable[
    [Connection, Sequence[BoundStatement], Callable[[], None] | None], list[list[Record]]
]
"""The type of `Database.execute_batch`."""

JOURNAL_LENGTH = 8192
"""Revisions that the journal remembers; an agent further behind gets a complete update."""

JOURNAL_ROWS = 200_000
"""Rows that a journal keeps of those revisions: one change of a large network writes hundreds."""

_TRIM_EVERY = 64

_RESTART_GAP = 10_000
"""Revisions left out at a start: more changes than a power cut can take."""

# Inline: the number of the new line is not read back.
_JOURNAL = Statement(insert(journal).inline())
_VALUE = Statement(select(revision.c.value))
_RAISE = Statement(update(revision))
_RAISE_ALL = Statement(update(ports).values(policy_revision=bindparam("this_revision")))


class _AffectedPorts:
    """The statements that touch the ports a condition selects.

    `each`: the journal names each port; otherwise each of their hosts, once.
    """

    def __init__(self, which: ColumnElement[bool], *, each: bool = True) -> None:
        this = bindparam("this_revision", type_=BigInteger)
        bound = which & (ports.c.host != "")
        port_id = ports.c.id if each else cast(null(), ports.c.id.type)
        rows = select(this, ports.c.host, port_id).where(bound).distinct()
        self.revision_update = Statement(update(ports).where(which).values(policy_revision=this))
        self.journal_insert = Statement(
            insert(journal).from_select(["revision", "host", "port_id"], rows)
        )
        self.hosts = Statement(select(ports.c.host).where(bound).distinct())


BEFORE_ALL = -1
"""A revision before every other."""

DELTA_LIMIT = 500
"""The most ports of a change that are named one by one; beyond, the update is complete."""

_ON_THIS_NETWORK = ports.c.network_id == bindparam("this_network")
_MORE_THAN_LIMIT = Statement(
    select(ports.c.id).where(_ON_THIS_NETWORK).offset(DELTA_LIMIT).limit(1)
)
_ON_NETWORK = _AffectedPorts(_ON_THIS_NETWORK)
_ON_NETWORK_BY_HOST = _AffectedPorts(_ON_THIS_NETWORK, each=False)
_MEMBERS = select(port_security_groups.c.port_id).where(
    port_security_groups.c.group_id == bindparam("this_group")
)
_IN_GROUP = _AffectedPorts(ports.c.id.in_(_MEMBERS))
_THESE = _AffectedPorts(in_list(ports.c.id, "ids"))


class Snapshot:
    """One consistent view: every read within sees the same state."""

    def __init__(self, connection: Connection, run: ExecuteBatch, heartbeats: Heartbeats) -> None:
        self._connection = connection
        self._execute_batch = run
        self.heartbeats = heartbeats
        self._queued: list[QueuedStatement] = []

    @property
    def connection(self) -> Connection:
        """The raw connection; reading it sends queued statements first, in their order."""
        self.flush()
        return self._connection

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Statements that are asked in the block, and go to the database together at its end.

        Their results are there behind the block.
        """
        batch = Batch(self)
        yield batch
        if not batch.is_empty:
            self.flush()

    def enqueue(self, statement: Statement, values: Values | Sequence[Values]) -> QueuedStatement:
        """Queue a statement, to be sent with the next batch."""
        queued = QueuedStatement(BoundStatement(statement, values))
        self._queued.append(queued)
        return queued

    def rows_of(self, queued: QueuedStatement) -> list[Record]:
        """The rows of a statement that was queued; it is sent where it still waits."""
        if queued.records is None:
            self.flush()
        return queued.records or []

    def rows(self, statement: Statement, values: Values) -> list[Record]:
        """Execute a statement now, after those queued, and return its rows."""
        return self.rows_of(self.enqueue(statement, values))

    def flush(self, then: Callable[[], None] | None = None) -> None:
        """Send queued statements in their order, and then call `then`."""
        queued, self._queued = self._queued, []
        if queued or then:
            found = self._execute_batch(self._connection, [each.bound for each in queued], then)
            for each, records in zip(queued, found, strict=True):
                each.records = records


@dataclass(frozen=True, slots=True)
class Settings:
    """An operator's choices for changes.

    `rest` is the time that a released address rests (seconds), `base_mac` the first three or four
    octets of the MACs to make.
    """

    rest: float = 0.0
    base_mac: bytes = BASE_MAC


class WriteTransaction(Snapshot):
    """A change: committed as a whole, at one revision, made at the time `now` (seconds).

    By network: `paired` asks whether any has a wide address pair, `listed` are the sets that a
    wide pair was added to or removed from. By network and project: `owned` are the prefixes that
    have other owners than before, `freed` has those of which one went. `rest` and `base_mac` are
    as in Settings.
    """

    def __init__(
        self,
        connection: Connection,
        run: ExecuteBatch,
        heartbeats: Heartbeats,
        now: float,
        settings: Settings,
    ) -> None:
        super().__init__(connection, run, heartbeats)
        self._locks: list[QueuedStatement] = []
        self._before: QueuedStatement | None = None
        self._now = int(now * 1_000_000)
        self._created = 0
        self.rest, self.base_mac = settings.rest, settings.base_mac
        self.hosts_to_notify: set[str] = set()
        self.ports_to_notify: set[str] = set()
        self.notify_all_hosts = False
        self.owned: dict[tuple[str, str], set[IPNetwork]] = {}
        self.freed: set[tuple[str, str]] = set()
        self.paired: dict[str, QueuedStatement] = {}
        self.listed: dict[str, set[tuple[str, IPNetwork]]] = {}
        self.release: float | None = None
        self._revision = 0
        self.is_committing = False

    def begin(self, lock_statements: Iterable[BoundStatement]) -> None:
        """Queue the lock of the database, and the read of the revision before this one."""
        self._locks = [self.enqueue(each.statement, each.values) for each in lock_statements]
        self._before = self.enqueue(_VALUE, {})

    def write(self, statement: Statement, values: Values | Sequence[Values]) -> None:
        """Queue a statement whose result is not needed.

        A conflict, as with an existing row, must be ruled out before: changes are serial.
        """
        self.enqueue(statement, values)

    def commit(self, transaction: RootTransaction) -> None:
        """Send queued statements and commit. Where it raises, it may be committed."""
        self.is_committing = True
        self.flush(transaction.commit)

    @property
    def lock_result(self) -> list[Record]:
        """The rows of the database's `lock_statements`; none before they were sent."""
        return [record for each in self._locks for record in each.records or ()]

    @property
    def allocated_revision(self) -> int:
        """The revision of this transaction; 0 where it allocated none."""
        return self._revision

    @property
    def revision(self) -> int:
        """The revision of this change."""
        self.allocate_revision()
        return self._revision

    @property
    def timestamp(self) -> int:
        """The time of the change (microseconds since the epoch)."""
        return self._now

    def allocate_revision(self) -> None:
        """Raise the global revision, once a transaction."""
        if not self._revision:
            before = self._before or self.enqueue(_VALUE, {})
            self._revision = int(self.rows_of(before)[0].value) + 1
            self.write(_RAISE, {"value": self._revision})
            if self._revision % _TRIM_EVERY == 0:
                self._trim()

    def notification(self) -> Notification:
        """The hosts and ports that this transaction concerns."""
        hosts = None if self.notify_all_hosts else frozenset(self.hosts_to_notify)
        return Notification(hosts, frozenset(self.ports_to_notify), self.release)

    def restart(self) -> None:
        """Forget the journal and leave a gap, so that every agent gets a complete update.

        A power cut, or a database restored from elsewhere, may have taken the last changes with
        it. An agent that saw them must not find its revision used again for other ones.
        """
        ahead = revision.c.value + _RESTART_GAP
        self.connection.execute(update(revision).values(value=ahead, journal_from=ahead))
        for each in (journal, set_journal):
            self.connection.execute(delete(each))

    def created_stamp(self) -> Values:
        """The stamp's columns of a noun made in this change."""
        self.allocate_revision()
        # A microsecond after the one before: the order of making is the order of lists.
        at = self._now + self._created
        self._created += 1
        return {"revision_number": 1, "created_at": at, "updated_at": at}

    def updated_stamp(self, stamp: Stamp) -> Values:
        """The stamp's columns of a noun that this change alters."""
        self.allocate_revision()
        return {"revision_number": stamp.revision_number + 1, "updated_at": self._now}

    def journal_port(self, port_id: str, hosts: Iterable[str]) -> None:
        """Journal one port for the hosts that had it and have it."""
        self.ports_to_notify.add(port_id)
        named = {host for host in hosts if host}
        if named:
            rows = [{"revision": self.revision, "host": host, "port_id": port_id} for host in named]
            self.write(_JOURNAL, rows)
            self.hosts_to_notify |= named

    def journal_affected(self, affected: AffectedPorts) -> None:
        """Give the affected ports this revision and journal them."""
        match affected:
            case AllPorts():
                self.write(_RAISE_ALL, {"this_revision": self.revision})
                self.write(_JOURNAL, {"revision": self.revision})
                self.notify_all_hosts = True
            case PortsOnNetwork(network_id):
                here: Values = {"this_network": network_id}
                self._journal_affected(
                    _ON_NETWORK_BY_HOST if self.rows(_MORE_THAN_LIMIT, here) else _ON_NETWORK, here
                )
            case PortsInGroup(group_id):
                self._journal_affected(_IN_GROUP, {"this_group": group_id})
            case ThesePorts(ids) if ids:
                self._journal_affected(_THESE, {"ids": sorted(ids)})

    def _journal_affected(self, which: _AffectedPorts, values: Values) -> None:
        values = values | {"this_revision": self.revision}
        self.write(which.revision_update, values)
        self.write(which.journal_insert, values)
        self.hosts_to_notify |= {row.host for row in self.rows(which.hosts, values)}

    def _trim(self) -> None:
        beyond = [self._newest_beyond(each) for each in (journal, set_journal)]
        oldest = max(self._revision - JOURNAL_LENGTH, *beyond)
        if oldest > 0:
            for each in (journal, set_journal):
                self.connection.execute(delete(each).where(each.c.revision <= oldest))
            self.connection.execute(update(revision).values(journal_from=oldest))

    def _newest_beyond(self, kept: Table) -> int:
        """The newest revision of the rows before the last JOURNAL_ROWS; 0 for none.

        Rows are numbered in their order, and mostly without gaps: nothing is counted.
        """
        last = select(func.max(kept.c.id)).scalar_subquery()
        before = select(kept.c.revision).where(kept.c.id <= last - JOURNAL_ROWS)
        found: int | None = self.connection.scalar(before.order_by(kept.c.id.desc()).limit(1))
        return found or 0
