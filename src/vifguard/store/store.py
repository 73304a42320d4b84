"""The store: views and changes of the rows, reports taken in, and who is woken by what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, select

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
    sqlite,
)
from vifguard.store.bell import Bell
from vifguard.store.drops import DropLog
from vifguard.store.errors import DatabaseError
from vifguard.store.tables import ports
from vifguard.store.transaction import BEFORE_ALL, DELTA_LIMIT, Change, Snapshot
from vifguard.store.uncollected import uncollected

ALIVE = 90.0
"""Seconds after its last word that a host counts as alive; longer than any long poll."""


class Store:
    """All that the server keeps. Threads share one.

    `changes` rings with the names of the hosts that a commit concerns, `reports` with the ids
    of the ports that a host spoke of, or that changed.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writing=True)
        # Changes are serial anyway, each raising the one revision; waiting here, and not in
        # the database, a thread is woken at once instead of polling for the lock.
        self._turn = threading.Lock()
        self._clock = clock
        self._heard: dict[str, float] = {}
        self.changes = Bell()
        self.reports = Bell()
        self.drops = DropLog()
        self._release: threading.Timer | None = None
        with self.change() as change:
            change.restart()
            self._arm(holders.next_release(change))

    @classmethod
    def open(cls, where: str | Path, clock: Callable[[], float] = time.time) -> Store:
        """The store in a SQLite file (a path, or a `sqlite:///` URL), migrated to this release.

        Raises DatabaseError where that cannot be.
        """
        engine = sqlite.engine_of(_path_of(str(where)))
        migrations.upgrade(engine)
        return cls(engine, clock)

    def close(self) -> None:
        """Close every connection."""
        self._arm(None)
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """One consistent view of the rows."""
        with self._engine.connect() as connection, connection.begin():
            yield Snapshot(connection)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A change: committed as a whole when the block ends, undone when it raises."""
        with self._turn, self._writing.connect() as connection, connection.begin():
            change = Change(connection, self._clock())
            yield change
        if change.woken or change.wakes_all:
            self.changes.ring(None if change.wakes_all else change.woken)
        if change.noted:
            self.reports.ring(change.noted)

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
        with self.change() as change:
            holders.release_expired(change, self._clock())
            ends = holders.next_release(change)
        self._arm(ends)

    def heard(self, host: str) -> None:
        """The host spoke just now."""
        self._heard[host] = self._clock()

    def last_heard(self, host: hosts.StoredHost) -> float:
        """When the host last spoke (seconds since the epoch)."""
        return max(self._heard.get(host.name, 0.0), host.seen_at)

    def is_alive(self, host: hosts.StoredHost) -> bool:
        """Whether the host spoke lately; an agent asks at least every `ALIVE` seconds."""
        return self._clock() - self.last_heard(host) <= ALIVE

    def _record(self, report: Report) -> None:
        now = self._clock()
        with self.change() as change:
            if report.about is not None:
                hosts.write(change, report.host, report.about, now)
            spoken_of = enforcements.write(change, report.host, report.ports)
            holders.record(change, report.host, report.claims, report.sightings, now)
            if report.reached:
                hosts.write_reached(change, report.host, report.reached)
            ends = holders.next_release(change) if report.claims else None
        if ends is not None:
            self._arm(ends)
        # Whoever waits for a rule waits for a host, and asks for a port.
        self.reports.ring(None if report.reached else spoken_of)

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

    def _arm(self, ends: float | None) -> None:
        """Let held IP groups go at that time; what is stored says which, whoever dies between."""
        if self._release is not None:
            self._release.cancel()
        self._release = None
        if ends is not None:
            self._release = threading.Timer(max(0.0, ends - self._clock()), self.release_holds)
            self._release.daemon = True
            self._release.start()


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


def _path_of(where: str) -> Path:
    if where.startswith("sqlite:///"):
        return Path(where.removeprefix("sqlite:///"))
    if "://" in where:
        raise DatabaseError(
            f"{where!r} is not a database of this release; use a path or sqlite:///PATH"
        )
    return Path(where)
