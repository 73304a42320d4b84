"""The store: views and changes of the rows, recording of reports, and notifications."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from vifguard.feed.messages import RefusedClaim, Report, ReportAnswer, Update
from vifguard.model.address import BASE_MAC
from vifguard.model.security_group import Rule, SetChange
from vifguard.store.addressing import address_claims, wide_pairs
from vifguard.store.database.notification import Notification
from vifguard.store.database.open import open_database
from vifguard.store.database.protocol import Database
from vifguard.store.database.translated_errors import translated_errors
from vifguard.store.deadline_timer import DeadlineTimer
from vifguard.store.errors import (
    BusyError,
    DatabaseError,
    StoreError,
    UnavailableError,
    UnknownOutcomeError,
)
from vifguard.store.notifier import Notifier, host_ports_topic
from vifguard.store.nouns import hosts, security_groups
from vifguard.store.reports import claims, holders, port_reports, wiring
from vifguard.store.reports.drops import DropLog
from vifguard.store.reports.heartbeats import Heartbeats
from vifguard.store.schema import migrations
from vifguard.store.schema.tables import identity
from vifguard.store.transaction import (
    BEFORE_ALL,
    DELTA_LIMIT,
    Settings,
    Snapshot,
    WriteTransaction,
)
from vifguard.store.updates import address_sets, intent, subscriptions
from vifguard.store.updates.host_update import update_for_host

_LOG = logging.getLogger(__name__)


class Store:
    """All that the server keeps. Threads share one; servers may share one database.

    The topics of `changes` are the names of the hosts that a commit concerns. The topics of
    `reports` are the ids of the ports that a host reported or that changed, and `host_ports_topic`
    of a host that reported the revision it has reached. The commit may be any server's.
    """

    patience = 10.0
    """Seconds that a change waits for those before it at this server."""

    rest = 0.0
    """Seconds that an address given back on a shared network is no other project's."""

    base_mac = BASE_MAC
    """The first three or four octets of the MACs to make."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        # Changes are serial anyway, each raising the one revision; waiting here, and not in
        # the database, a thread goes on at once and keeps no connection meanwhile.
        self._write_lock = threading.Lock()
        self._saving = threading.Lock()
        self._clock = clock
        self.heartbeats = Heartbeats(clock, monotonic)
        self.changes = Notifier()
        self.reports = Notifier()
        self.drops = DropLog()
        self._release_timer = DeadlineTimer(clock, self.release_holds)
        database.start_listening(self._on_connect, self._notify)

    @classmethod
    def open(
        cls,
        where: str | Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Store:
        """Open the store in a database, migrated to this release.

        `where` is the path of a SQLite file, `sqlite:///PATH` or `postgresql://...`. Raises
        DatabaseError where that cannot be.
        """
        with ExitStack() as undo:
            database = open_database(where)
            undo.callback(database.close)
            try:
                migrations.upgrade(database)
                store = cls(database, clock, monotonic)
            except DBAPIError as error:
                raise DatabaseError(f"the database cannot be used: {error.orig}") from error
            except UnavailableError as error:
                raise DatabaseError(f"the database cannot be used: {error}") from error
            undo.pop_all()
            return store

    def close(self) -> None:
        """Close every connection."""
        self._release_timer.stop()
        self._database.close()

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """One consistent view of the rows; raises UnavailableError."""
        with (
            translated_errors(),
            self._database.reading.connect() as connection,
            connection.begin(),
        ):
            yield Snapshot(connection, self._database.execute_batch, self.heartbeats)

    @contextmanager
    def autocommit(self) -> Iterator[Snapshot]:
        """A view for one statement: a second may see another state. Raises UnavailableError."""
        with translated_errors(), self._database.autocommit.connect() as connection:
            yield Snapshot(connection, self._database.execute_batch, self.heartbeats)

    @contextmanager
    def change(self) -> Iterator[WriteTransaction]:
        """A change: committed as a whole when the block ends, undone when it raises.

        Raises UnavailableError; UnknownOutcomeError where it is unknown whether it was committed.
        """
        database = self._database
        change = None
        with self._write_locked(), translated_errors():
            try:
                with database.writing.connect() as connection, connection.begin() as whole:
                    now = self._clock()
                    change = WriteTransaction(
                        connection,
                        database.execute_batch,
                        self.heartbeats,
                        now,
                        Settings(self.rest, self.base_mac),
                    )
                    change.begin(database.lock_statements)
                    yield change
                    wide_pairs.rebuild_pieces(change)
                    for each in database.notify_statements(change.notification()):
                        change.write(each.statement, each.values)
                    change.commit(whole)
            except (OperationalError, InterfaceError) as error:
                # Any other error comes from a database that did not commit.
                if change is None or not change.is_committing:
                    raise
                self._require_committed(change, error)
        self._notify(change.notification())

    @contextmanager
    def _write_locked(self) -> Iterator[None]:
        """Keep other changes of this server out until the block ends; raises BusyError."""
        if not self._write_lock.acquire(timeout=self.patience):
            raise BusyError(f"Another change has held the database for {self.patience:g} s.")
        try:
            yield
        finally:
            self._write_lock.release()

    def _require_committed(self, change: WriteTransaction, error: DBAPIError) -> None:
        """Return where a change was committed although COMMIT was not answered.

        Raises `error` where it was not, UnknownOutcomeError where that is unknown.
        """
        try:
            made = self._database.was_committed(change.lock_result, change.allocated_revision)
        except SQLAlchemyError:
            _LOG.exception("the outcome of a change cannot be read from the database")
            made = None
        if made is None:
            # Subscribers read the rows, and find the change or not.
            self._notify(change.notification())
            raise UnknownOutcomeError(
                "The database did not answer when it was told to commit: the change may or may "
                "not have been made."
            ) from error
        if not made:
            raise error
        _LOG.warning(
            "a change was committed, though the database did not confirm it: %s", error.orig
        )

    def update_after(self, host: str, after: int) -> Update | None:
        """The update of a host after a revision; None when nothing changed.

        Complete where `after` is 0, unknown, or no longer in the journal.
        """
        update = self._update_after(host, after)
        return None if update is None else replace(update, store=self.identity)

    def _update_after(self, host: str, after: int) -> Update | None:
        with self.read() as snapshot:
            position = intent.position(snapshot)
            if not max(position.since, 1) <= after <= position.revision:
                return _complete(snapshot, host)
            changed = intent.changed_ports(snapshot, host, after)
            if changed is None or len(changed) > DELTA_LIMIT:
                return _complete(snapshot, host)
            groups, moved = _ruleset_changes(snapshot, host, after)
            if not (changed or groups or moved):
                return None
            nouns, revisions = intent.of_ports(snapshot, changed)
        present = {port.id for port in nouns.ports.values() if port.host == host}
        return update_for_host(
            nouns, host, revisions, gone=changed - present, groups=groups, sets=moved
        )

    def record_report(self, report: Report) -> ReportAnswer:
        """Record an agent's report. It counts for ports of its own host only.

        Raises SecondAgentError where another agent is the host's, and lives.
        """
        facts = (report.ports, report.claims, report.sightings, report.reached, report.wiring)
        refused: list[RefusedClaim] = []
        claimed = report.address_claims or report.detections
        if any(facts) or claimed or self._is_new(report):
            try:
                refused = self._record(report)
            except UnavailableError:
                # Whatever keeps the database from answering, the heartbeat counts.
                self.require_own(report.host, report.instance.id)
                self._record_heartbeat(report)
                raise
        if report.drops or report.counts:
            self._record_drops(report)
        if self._record_heartbeat(report):
            self._save_heartbeats()
        return ReportAnswer(tuple(refused))

    def _record_heartbeat(self, report: Report) -> bool:
        """Record the heartbeat of a report that is one; return whether it is."""
        is_heartbeat = report.read_back or bool(report.ports)
        if is_heartbeat:
            self.heartbeats.record(report.host)
        return is_heartbeat

    def require_own(self, host: str, instance: str) -> None:
        """Raise SecondAgentError where another agent than this run is the host's, and lives."""
        with self.autocommit() as snapshot:
            hosts.require_own(snapshot, host, instance)

    @cached_property
    def identity(self) -> str:
        """The identity of this store, wherever its database is kept."""
        with self.autocommit() as snapshot:
            found: str = snapshot.connection.scalar(select(identity.c.id)) or ""
        return found

    def release_holds(self) -> None:
        """Release the IP groups whose freeze has ended."""
        try:
            with self.change() as change:
                holders.release_expired(change, self._clock())
                change.release = holders.next_release(change)
        except StoreError:
            _LOG.exception("IP groups whose freeze has ended are written again")
            self._release_timer.schedule(self._clock() + 1)

    def _is_new(self, report: Report) -> bool:
        """Whether a host reports something about itself that its row does not have."""
        with self.autocommit() as snapshot:
            return not hosts.is_stored(snapshot, report.host, report.about, report.instance)

    def _save_heartbeats(self) -> None:
        """Save heartbeats for other servers, and for this one when it starts again.

        Where they cannot be written, heartbeats received here count all the same.
        """
        if not self._saving.acquire(blocking=False):
            return  # While nothing can be written, one thread waits, the others go on.
        try:
            unsaved = self.heartbeats.take_unsaved()
            if unsaved:
                self._save(unsaved)
        finally:
            self._saving.release()

    def _save(self, heard: Mapping[str, float]) -> None:
        try:
            with self.change() as change:
                hosts.write_heard(change, heard)
        except StoreError as error:
            _LOG.warning("the heartbeats of %d hosts could not be saved: %s", len(heard), error)

    def _on_connect(self) -> None:
        """Begin, or begin again after notifications may have been missed."""
        with self.change() as change:
            if self._database.is_only_server(change.connection):
                change.restart()
            change.release = holders.next_release(change)
        self._notify(Notification(None, None))

    def _notify(self, notification: Notification) -> None:
        """Notify subscribers; the rows hold the change too, whichever process dies before."""
        if notification.release is not None:
            self._release_timer.schedule(notification.release)
        self.changes.notify(notification.hosts)
        self.reports.notify(notification.ports)

    def _record(self, report: Report) -> list[RefusedClaim]:
        now = self._clock()
        with self.change() as change:
            hosts.claim(change, report.host, report.instance)
            if report.about is not None:
                hosts.write(change, report.host, report.about, report.instance, now)
            if report.wiring is not None:
                wiring.write(change, report.host, report.wiring)
            change.ports_to_notify.update(port_reports.write(change, report.host, report.ports))
            claims.record(change, report.host, report.claims, report.sightings, now)
            if report.reached:
                hosts.write_reached(change, report.host, report.reached)
                change.ports_to_notify.add(host_ports_topic(report.host))
            if report.claims:
                change.release = holders.next_release(change)
            address_claims.conclude(change, report.host, report.detections)
            return address_claims.decide(change, report.host, report.address_claims, now)

    def _record_drops(self, report: Report) -> None:
        named = {drop.port_id for drop in report.drops}
        named |= {count.port_id for count in report.counts}
        with self.read() as snapshot:
            own = port_reports.own(snapshot, report.host, named)
        self.drops.add(
            (each for each in report.drops if each.port_id in own),
            (each for each in report.counts if each.port_id in own),
        )


def _complete(snapshot: Snapshot, host: str) -> Update:
    nouns, revisions = intent.of_host(snapshot, host)
    groups, whole = _ruleset_changes(snapshot, host, BEFORE_ALL)
    return update_for_host(nouns, host, revisions, groups=groups, sets=whole)


def _ruleset_changes(
    snapshot: Snapshot, host: str, after: int
) -> tuple[dict[str, frozenset[Rule]], dict[str, SetChange]]:
    """The changed rules and address sets of a host, beside its ports."""
    changed = subscriptions.changed_groups(snapshot, host, after)
    return security_groups.meanings(snapshot, changed), address_sets.changes(snapshot, host, after)
