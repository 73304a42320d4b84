"""A view of the rows, and a change to them; the modules of the nouns work on these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    RootTransaction,
    bindparam,
    cast,
    delete,
    insert,
    null,
    select,
    update,
)

from vifguard.model.address import IPNetwork
from vifguard.resolve.affected import (
    AffectedPorts,
    AllPorts,
    PortsInGroup,
    PortsOnNetwork,
    ThesePorts,
)
from vifguard.store.database import News
from vifguard.store.heartbeats import Heartbeats
from vifguard.store.prepared import Asked, Prepared, among
from vifguard.store.rows import Record, Stamp, Values
from vifguard.store.tables import journal, port_security_groups, ports, revision, set_journal

Heard = TypeVar("Heard")
Run = Callable[[Connection, Sequence[Asked], Callable[[], None] | None], list[list[Record]]]
"""How a database is asked: `Database.run`."""

JOURNAL_LENGTH = 8192
"""Revisions that the journal remembers; an agent further behind gets a complete update."""

_TRIM_EVERY = 256

_GAP = 10_000
"""Revisions left out at a start: more changes than a power cut can take."""

# Inline: nobody asks which number the line got.
_JOURNAL = Prepared(insert(journal).inline())
_VALUE = Prepared(select(revision.c.value))
_RAISE = Prepared(update(revision))
_RAISE_ALL = Prepared(update(ports).values(policy_revision=bindparam("this_revision")))


class _Touching:
    """The statements that touch the ports a condition selects.

    `each`: the journal names each port; otherwise each of their hosts, once.
    """

    def __init__(self, which: ColumnElement[bool], *, each: bool = True) -> None:
        this = bindparam("this_revision", type_=BigInteger)
        bound = which & (ports.c.host != "")
        port_id = ports.c.id if each else cast(null(), ports.c.id.type)
        rows = select(this, ports.c.host, port_id).where(bound).distinct()
        self.raising = Prepared(update(ports).where(which).values(policy_revision=this))
        self.journaling = Prepared(
            insert(journal).from_select(["revision", "host", "port_id"], rows)
        )
        self.hosts = Prepared(select(ports.c.host).where(bound).distinct())


BEFORE_ALL = -1
"""A revision before every other."""

DELTA_LIMIT = 500
"""Ports of a change that are named one by one; beyond, everything is sent, and said to be."""

_HERE = ports.c.network_id == bindparam("this_network")
_MANY = Prepared(select(ports.c.id).where(_HERE).offset(DELTA_LIMIT).limit(1))
_ON_NETWORK = _Touching(_HERE)
_CROWD = _Touching(_HERE, each=False)
_MEMBERS = select(port_security_groups.c.port_id).where(
    port_security_groups.c.group_id == bindparam("this_group")
)
_IN_GROUP = _Touching(ports.c.id.in_(_MEMBERS))
_THESE = _Touching(among(ports.c.id, "ids"))


class Answer(Generic[Heard]):
    """What was asked of the database, and is heard when it is called for.

    All that was asked until then goes there together. To call for it may raise what it means.
    """

    def __init__(self, snapshot: Snapshot, read: Callable[[list[Record]], Heard]) -> None:
        self._snapshot = snapshot
        self._read = read
        self._heard: list[Heard] = []
        self.records: list[Record] | None = None

    def __call__(self) -> Heard:
        """Hear it; once heard, it stays."""
        if self.records is None:
            self._snapshot.send()
        if not self._heard:
            self._heard.append(self._read(self.records or []))
        return self._heard[0]


class Snapshot:
    """One consistent view: every read within sees the same state."""

    def __init__(self, connection: Connection, run: Run, heartbeats: Heartbeats) -> None:
        self._connection = connection
        self._run = run
        self.heartbeats = heartbeats
        self._unsent: list[tuple[Asked, Answer[Any] | None]] = []

    @property
    def connection(self) -> Connection:
        """To read with, and to write what is answered; it knows all that was asked before."""
        self.send()
        return self._connection

    def ask(
        self, statement: Prepared, values: Values, read: Callable[[list[Record]], Heard]
    ) -> Answer[Heard]:
        """Ask, together with others; `read` tells what the rows mean."""
        answer = Answer(self, read)
        self._unsent.append((Asked(statement, values), answer))
        return answer

    def rows(self, statement: Prepared, values: Values) -> list[Record]:
        """Ask, and hear at once."""
        return self.ask(statement, values, list)()

    def send(self, last: Callable[[], None] | None = None) -> None:
        """Send what was asked and not sent yet, in its order, and then do `last`."""
        unsent, self._unsent = self._unsent, []
        if unsent or last:
            found = self._run(self._connection, [asked for asked, _ in unsent], last)
            for (_, answer), records in zip(unsent, found, strict=True):
                if answer is not None:
                    answer.records = records


class Change(Snapshot):
    """All or nothing: committed as a whole, at one revision, made at the time `now` (seconds).

    By network: `owned` are the prefixes that have other owners than before, `paired` whether any
    has a wide address pair, `listed` the sets that a wide pair came to or went from. `rest` is
    how many seconds an address rests that is given back.
    """

    def __init__(
        self,
        connection: Connection,
        run: Run,
        heartbeats: Heartbeats,
        turn: Iterable[Asked],
        now: float,
        rest: float = 0.0,
    ) -> None:
        super().__init__(connection, run, heartbeats)
        begun = [(each, Answer(self, list)) for each in turn]
        self._unsent += begun
        self._turn = [answer for _, answer in begun]
        self._before = self.ask(_VALUE, {}, lambda rows: int(rows[0].value))
        self._now = int(now * 1_000_000)
        self._made = 0
        self.rest = rest
        self.woken: set[str] = set()
        self.noted: set[str] = set()
        self.wakes_all = False
        self.owned: dict[str, set[IPNetwork]] = {}
        self.paired: dict[str, Answer[bool]] = {}
        self.listed: dict[str, set[tuple[str, IPNetwork]]] = {}
        self.release: float | None = None
        self._revision = 0
        self.is_ending = False

    def write(self, statement: Prepared, values: Values | Sequence[Values]) -> None:
        """Write where nothing is to be heard of it: it is sent with others, in their order.

        What would not fit, as a row that is there, must be known before: changes are serial.
        """
        self._unsent.append((Asked(statement, values), None))

    def end(self, whole: RootTransaction) -> None:
        """Commit, with what is still to be sent. Where it raises, it may be committed."""
        self.is_ending = True
        self.send(whole.commit)

    @property
    def turn(self) -> list[Record]:
        """What the database answered when the change began; nothing where it did not."""
        return [record for each in self._turn for record in each.records or ()]

    @property
    def reached(self) -> int:
        """The revision of this change; 0 where it raised none."""
        return self._revision

    @property
    def revision(self) -> int:
        """The revision of this change."""
        self.mark()
        return self._revision

    @property
    def at(self) -> int:
        """When the change is made (microseconds since the epoch)."""
        return self._now

    def mark(self) -> None:
        """Raise the global revision, once: everything that is changed has one."""
        if not self._revision:
            self._revision = self._before() + 1
            self.write(_RAISE, {"value": self._revision})
            if self._revision % _TRIM_EVERY == 0:
                self._trim()

    def news(self) -> News:
        """What the change means for those who wait."""
        hosts = None if self.wakes_all else frozenset(self.woken)
        return News(hosts, frozenset(self.noted), self.release)

    def restart(self) -> None:
        """Forget the journal and leave a gap, so that no agent is behind by a known way.

        A power cut, or a database restored from elsewhere, may have taken the last changes with
        it. An agent that saw them must not find its revision used again for other ones.
        """
        ahead = revision.c.value + _GAP
        self.connection.execute(update(revision).values(value=ahead, journal_from=ahead))
        for each in (journal, set_journal):
            self.connection.execute(delete(each))

    def made(self) -> Values:
        """The stamp's columns of a noun made in this change."""
        self.mark()
        # A microsecond after the one before: the order of making is the order of lists.
        at = self._now + self._made
        self._made += 1
        return {"revision_number": 1, "created_at": at, "updated_at": at}

    def changed_from(self, stamp: Stamp) -> Values:
        """The stamp's columns of a noun that this change alters."""
        self.mark()
        return {"revision_number": stamp.revision_number + 1, "updated_at": self._now}

    def note(self, port_id: str, hosts: Iterable[str]) -> None:
        """Journal one port for the hosts that had it and have it."""
        self.noted.add(port_id)
        named = {host for host in hosts if host}
        if named:
            rows = [{"revision": self.revision, "host": host, "port_id": port_id} for host in named]
            self.write(_JOURNAL, rows)
            self.woken |= named

    def touch(self, touched: AffectedPorts) -> None:
        """Give the touched ports this revision and journal them."""
        match touched:
            case AllPorts():
                self.write(_RAISE_ALL, {"this_revision": self.revision})
                self.write(_JOURNAL, {"revision": self.revision})
                self.wakes_all = True
            case PortsOnNetwork(network_id):
                here: Values = {"this_network": network_id}
                self._touch(_CROWD if self.rows(_MANY, here) else _ON_NETWORK, here)
            case PortsInGroup(group_id):
                self._touch(_IN_GROUP, {"this_group": group_id})
            case ThesePorts(ids) if ids:
                self._touch(_THESE, {"ids": sorted(ids)})

    def _touch(self, which: _Touching, values: Values) -> None:
        values = values | {"this_revision": self.revision}
        self.write(which.raising, values)
        self.write(which.journaling, values)
        self.woken |= {row.host for row in self.rows(which.hosts, values)}

    def _trim(self) -> None:
        oldest = self._revision - JOURNAL_LENGTH
        if oldest > 0:
            for each in (journal, set_journal):
                self.connection.execute(delete(each).where(each.c.revision <= oldest))
            self.connection.execute(update(revision).values(journal_from=oldest))
