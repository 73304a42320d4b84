"""The store: views and changes of the rows, reports taken in, and who is woken by what."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from vifguard.feed.cut import cut
from vifguard.feed.messages import Report, SetChange, Update
from vifguard.model.security_group import Rule
from vifguard.store import (
    enforcements,
    followers,
    holders,
    hosts,
    intent,
    migrations,
    security_groups,
    sets,
)
from vifguard.store.alarm import Alarm
from vifguard.store.bell import Bell
from vifguard.store.database import Database, News, named
from vifguard.store.drops import DropLog
from vifguard.store.errors import DatabaseError, StoreError, UnavailableError, UnstorableError
from vifguard.store.tables import ports
from vifguard.store.transaction import BEFORE_ALL, DELTA_LIMIT, Change, Snapshot
from vifguard.store.uncollected import uncollected

ALIVE = 90.0
"""Seconds after its last word that a host counts as alive; longer than any long poll."""

_SEEN_EVERY = 10.0
"""Seconds between two words of a host that are worth a row, for other servers to see."""

_LOG = logging.getLogger(__name__)


class Store:
    """All that the server keeps. Threads share one; servers may share one database.

    `changes` rings with the names of the hosts that a commit concerns, `reports` with the ids
    of the ports that a host spoke of, or that changed; whichever server committed it.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        # Changes are serial anyway, each raising the one revision; waiting here, and not in
        # the database, a thread is woken at once and keeps no connection meanwhile.
        self._turn = threading.Lock()
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self.changes = Bell()
        self.reports = Bell()
        self.drops = DropLog()
        self._release = Alarm(clock, self.release_holds)
        database.join(self._joined, self._take_in)

    @classmethod
    def open(cls, where: str | Path, clock: Callable[[], float] = time.time) -> Store:
        """The store in a database, migrated to this release.

        `where` is the path of a SQLite file, `sqlite:///PATH` or `postgresql://...`. Raises
        DatabaseError where that cannot be.
        """
        with ExitStack() as undo:
            database = named(where)
            undo.callback(database.close)
            try:
                migrations.upgrade(database)
                store = cls(database, clock)
            except OperationalError as error:
                raise DatabaseError(f"the database cannot be used: {error.orig}") from error
            undo.pop_all()
            return store

    def close(self) -> None:
        """Close every connection."""
        self._release.stop()
        self._database.close()

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """One consistent view of the rows; raises UnavailableError."""
        with _answering(), self._database.reading.connect() as connection, connection.begin():
            yield Snapshot(connection, self._database.run)

    @contextmanager
    def look(self) -> Iterator[Snapshot]:
        """A view for one statement: a second may see another state. Raises UnavailableError."""
        with _answering(), self._database.looking.connect() as connection:
            yield Snapshot(connection, self._database.run)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A change: committed as a whole when the block ends, undone when it raises.

        Raises UnavailableError.
        """
        here = self._database
        with (
            self._turn,
            _answering(),
            here.writing.connect() as connection,
            connection.begin() as whole,
        ):
            change = Change(connection, here.run, here.turn, self._clock())
            yield change
            news = change.news()
            for each in here.telling(news):
                change.write(each.statement, each.values)
            change.end(whole)
        self._take_in(news)

    def update_after(self, host: str, after: int) -> Update | None:
        """What changed for a host after a revision; None when nothing did.

        Complete where `after` is 0, unknown, or no longer in the journal.
        """
        with self.read() as snapshot:
            position = intent.position(snapshot)
            if not max(position.since, 1) <= after <= position.revision:
                return _complete(snapshot, host)
            changed = intent.changed_ports(snapshot, host, after)
            if changed is None or len(changed) > DELTA_LIMIT:
                return _complete(snapshot, host)
            groups, moved = _told(snapshot, host, after)
            if not (changed or groups or moved):
                return None
            nouns, revisions = intent.of_ports(snapshot, changed)
        here = {port.id for port in nouns.ports.values() if port.host == host}
        return cut(nouns, host, revisions, gone=changed - here, groups=groups, sets=moved)

    def record_report(self, report: Report) -> None:
        """Take in what an agent reports. A host's word counts for its own ports only."""
        self.heard(report.host)
        said = (report.about, report.ports, report.claims, report.sightings, report.reached)
        if any(said):
            self._record(report)
        if report.drops or report.counts:
            self._record_drops(report)

    def release_holds(self) -> None:
        """Let go the IP groups whose hold has ended."""
        try:
            with self.change() as change:
                holders.release_expired(change, self._clock())
                change.release = holders.next_release(change)
        except StoreError:
            _LOG.exception("the holds of IP groups that have ended are tried again")
            self._release.set(self._clock() + 1)

    def heard(self, host: str) -> None:
        """The host spoke just now."""
        now = self._heard[host] = self._clock()
        if now - self._seen.get(host, 0.0) >= _SEEN_EVERY:
            self._seen[host] = now
            with self.change() as change:
                hosts.seen(change, host, now)

    def last_heard(self, host: hosts.StoredHost) -> float:
        """When the host last spoke (seconds since the epoch); to another server, about."""
        return max(self._heard.get(host.name, 0.0), host.seen_at)

    def is_alive(self, host: hosts.StoredHost) -> bool:
        """Whether the host spoke lately; an agent asks at least every `ALIVE` seconds."""
        return self._clock() - self.last_heard(host) <= ALIVE

    def _joined(self) -> None:
        """Begin, or begin again after news may have been missed."""
        with self.change() as change:
            if self._database.is_alone(change.connection):
                change.restart()
            change.release = holders.next_release(change)
        self._take_in(News(None, None))

    def _take_in(self, news: News) -> None:
        """Wake those whom news concerns; what is stored says it too, whoever dies before."""
        if news.release is not None:
            self._release.set(news.release)
        self.changes.ring(news.hosts)
        self.reports.ring(news.ports)

    def _record(self, report: Report) -> None:
        now = self._clock()
        with self.change() as change:
            if report.about is not None:
                hosts.write(change, report.host, report.about, now)
            change.noted.update(enforcements.write(change, report.host, report.ports))
            holders.record(change, report.host, report.claims, report.sightings, now)
            if report.reached:
                hosts.write_reached(change, report.host, report.reached)
                # Whoever waits for a rule waits for a host, and asks for a port.
                change.notes_all = True
            if report.claims:
                change.release = holders.next_release(change)

    def _record_drops(self, report: Report) -> None:
        named = {drop.port_id for drop in report.drops}
        named |= {count.port_id for count in report.counts}
        with self.read() as snapshot:
            own = set(
                snapshot.connection.scalars(
                    select(ports.c.id).where(ports.c.id.in_(named), ports.c.host == report.host)
                )
            )
        self.drops.add(
            (each for each in report.drops if each.port_id in own),
            (each for each in report.counts if each.port_id in own),
        )


@contextmanager
def _answering() -> Iterator[None]:
    """Turn what a database says when it cannot be asked, or told, into errors of the store."""
    try:
        yield
    except DataError as error:
        raise UnstorableError(f"A value cannot be stored: {error.orig}") from error
    except (DBAPIError, PoolTimeoutError) as error:
        answered = isinstance(error, DBAPIError) and not error.connection_invalidated
        if answered and not isinstance(error, OperationalError):
            raise
        _LOG.exception("the database does not answer")
        raise UnavailableError("The database does not answer; ask again later.") from error


def _complete(snapshot: Snapshot, host: str) -> Update:
    with uncollected():
        nouns, revisions = intent.of_host(snapshot, host)
        groups, whole = _told(snapshot, host, BEFORE_ALL)
        return cut(nouns, host, revisions, groups=groups, sets=whole)


def _told(
    snapshot: Snapshot, host: str, after: int
) -> tuple[dict[str, frozenset[Rule]], dict[str, SetChange]]:
    """What a host must be told of groups and sets, beside its ports."""
    changed = followers.groups(snapshot, host, after)
    return security_groups.meanings(snapshot, changed), sets.changes(snapshot, host, after)
