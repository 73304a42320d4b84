"""Hosts: the report of each about itself, its last heartbeat, and the run of its agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete

from vifguard.feed.messages import HostReport, Instance, SecondAgentError
from vifguard.model.guard import Guard
from vifguard.resolve.affected import AllPorts
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.errors import InUseError, MissingError
from vifguard.store.notifier import host_ports_topic
from vifguard.store.reports.heartbeats import Heartbeats
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import enforcements, host_addresses, hosts, ports
from vifguard.store.transaction import Snapshot, WriteTransaction
from vifguard.store.updates import subscriptions


@dataclass(frozen=True, slots=True)
class Host:
    """A host in short: what every port's creation reads of each of them.

    Its last heartbeat (seconds since the epoch); `silent_since`: that of a silent host, 0 for one
    that lives. `instance` is the run of its agent.
    """

    name: str
    seen_at: float
    silent_since: float
    instance: Instance
    features: frozenset[str]
    isolation: bool

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat was a moment ago."""
        return not self.silent_since


@dataclass(frozen=True, slots=True)
class StoredHost(Host):
    """A host with its reports about itself and its wiring, a WiringReport as JSON."""

    about: HostReport
    wiring: Mapping[str, Any]


_HEARD = (
    update(hosts)
    .where(hosts.c.name == bindparam("this_host"))
    .values(seen_at=bindparam("this_moment"))
)
# What a host reports may be long: only who shows it reads it.
_SHORT = (
    hosts.c.name,
    hosts.c.seen_at,
    hosts.c.instance,
    hosts.c.pins,
    hosts.c.features,
    hosts.c.isolation,
)
_ABOUT = (
    hosts.c.kernel,
    hosts.c.driver,
    hosts.c.missing,
    hosts.c.quarantine,
    hosts.c.degraded,
    hosts.c.lost,
    hosts.c.refused_guards,
)
_THIS = hosts.c.name == bindparam("this_host")
_ALL = Statement(select(*_SHORT).order_by(hosts.c.name))
_ONE = Statement(select(*_SHORT).where(_THIS))
_ONE_ABOUT = Statement(select(*_SHORT, *_ABOUT).where(_THIS))
_ONE_STORED = Statement(select(*_SHORT, *_ABOUT, hosts.c.wiring).where(_THIS))
_ALL_STORED = Statement(select(*_SHORT, *_ABOUT, hosts.c.wiring).order_by(hosts.c.name))


def queue(batch: Batch) -> Pending[list[Host]]:
    """Queue reading every host that ever reported, by name."""
    heartbeats = batch.snapshot.heartbeats
    return batch.queue(_ALL, {}, lambda rows: [_host(row, heartbeats) for row in rows])


def read(snapshot: Snapshot) -> list[Host]:
    """Every host that ever reported, by name."""
    return [_host(row, snapshot.heartbeats) for row in snapshot.rows(_ALL, {})]


def read_stored(snapshot: Snapshot) -> list[StoredHost]:
    """Every host that ever reported, by name, with its reports."""
    return [_stored(row, snapshot.heartbeats) for row in snapshot.rows(_ALL_STORED, {})]


def get(snapshot: Snapshot, name: str) -> StoredHost:
    """One host with its reports; raises MissingError."""
    for row in snapshot.rows(_ONE_STORED, {"this_host": name}):
        return _stored(row, snapshot.heartbeats)
    raise MissingError("host", name)


def is_stored(snapshot: Snapshot, name: str, about: HostReport | None, instance: Instance) -> bool:
    """Whether a host's row has this run of its agent, and this report about the host; None any.

    Where there is no row, None alone is stored.
    """
    for row in snapshot.rows(_ONE_ABOUT, {"this_host": name}):
        is_its = instance == Instance(row.instance, row.pins)
        return is_its and (about is None or about == _about(row))
    return about is None


def _host(row: Record, heartbeats: Heartbeats) -> Host:
    return Host(**_short(row, heartbeats))


def _stored(row: Record, heartbeats: Heartbeats) -> StoredHost:
    return StoredHost(**_short(row, heartbeats), about=_about(row), wiring=row.wiring or {})


def _short(row: Record, heartbeats: Heartbeats) -> dict[str, Any]:
    return {
        "name": row.name,
        "seen_at": heartbeats.last(row.name, row.seen_at),
        "silent_since": heartbeats.silent_since(row.name, row.seen_at),
        "instance": Instance(row.instance, row.pins),
        "features": frozenset(row.features),
        "isolation": row.isolation,
    }


def _about(row: Record) -> HostReport:
    return HostReport(
        row.kernel,
        row.driver,
        frozenset(row.features),
        tuple(row.missing),
        tuple(row.quarantine),
        row.isolation,
        tuple(row.degraded or ()),
        row.lost or {},
        tuple(row.refused_guards or ()),
    )


def write_reached(change: WriteTransaction, name: str, revision: int) -> None:
    """Store the revision up to which a host reports that it enforces everything."""
    change.connection.execute(update(hosts).where(hosts.c.name == name).values(reached=revision))


def only_host(known: Sequence[Host]) -> str:
    """The host of every port that names none; empty where there is not just one host."""
    return known[0].name if len(known) == 1 else ""


def isolation_unsupported(snapshot: Snapshot, *, named: bool) -> str:
    """Why isolated networks cannot be offered; empty when a host that lives supports them.

    One that does not keeps their ports closed, and is no reason to refuse them elsewhere. `named`:
    the reason names the hosts.
    """
    return _unsupported(snapshot, lambda host: host.isolation, "keep networks apart", named=named)


def security_groups_unsupported(snapshot: Snapshot, *, named: bool) -> str:
    """Why no host can enforce security groups; empty when a living one can. `named`: see above."""
    return _unsupported(
        snapshot,
        lambda host: Guard.SECURITY_GROUPS in host.features,
        "hold security groups",
        named=named,
    )


def _unsupported(snapshot: Snapshot, can: Callable[[Host], bool], what: str, *, named: bool) -> str:
    known = read(snapshot)
    if not known:
        return "no host has reported yet"
    able = [host for host in known if can(host)]
    if any(host.is_alive for host in able):
        return ""
    if not named:
        return f"no living host can {what}"
    if able:
        return f"host {', '.join(host.name for host in able)} can {what}, but is silent"
    return f"host {', '.join(host.name for host in known)} cannot {what}"


def claim(change: WriteTransaction, name: str, instance: Instance) -> None:
    """Make a run of an agent the host's; raises SecondAgentError where another is, and lives.

    A run with the same pins as the one before is its successor: two cannot hold them.
    """
    known = _known(change, name)
    if known is None:
        return
    _require_own(known, instance.id, instance.pins)
    now = Instance(*("", "") if instance.ended else (instance.id, instance.pins))
    if now != known.instance:
        values = {"instance": now.id, "pins": now.pins or known.instance.pins}
        change.connection.execute(update(hosts).where(hosts.c.name == name).values(values))


def require_own(snapshot: Snapshot, name: str, instance: str) -> None:
    """Raise SecondAgentError where another run of an agent is the host's, and lives."""
    known = _known(snapshot, name)
    if known is not None:
        _require_own(known, instance, "")


def _known(snapshot: Snapshot, name: str) -> Host | None:
    rows = snapshot.rows(_ONE, {"this_host": name})
    return next((_host(row, snapshot.heartbeats) for row in rows), None)


def _require_own(known: Host, instance: str, pins: str) -> None:
    own = known.instance
    if own.id in ("", instance) or not known.is_alive or (pins and pins == own.pins):
        return
    raise SecondAgentError(
        f"host {known.name} has another agent, which is alive: stop that one, or give this "
        "one a --host of its own"
    )


def delete(change: WriteTransaction, name: str, *, force: bool) -> None:
    """Forget a host. Raises MissingError, and InUseError where it lives or has ports.

    By `force` it may have ports.
    """
    known = _known(change, name)
    if known is None:
        raise MissingError("host", name)
    if known.is_alive:
        raise InUseError("host", f"Host {name} is alive: stop its agent first.")
    bound = change.connection.scalar(select(func.count()).where(ports.c.host == name))
    if bound and not force:
        raise InUseError(
            "host",
            f"{bound} port{' is' if bound == 1 else 's are'} on host {name}: give them another "
            "binding:host_id, delete them, "
            "or use force: they then wait until the host reports again.",
        )
    change.connection.execute(sql_delete(hosts).where(hosts.c.name == name))
    for table in (enforcements, host_addresses):
        change.connection.execute(sql_delete(table).where(table.c.host == name))
    change.heartbeats.forget(name)
    change.ports_to_notify.add(host_ports_topic(name))


def write(
    change: WriteTransaction, name: str, about: HostReport, instance: Instance, now: float
) -> None:
    """Store a host's report about itself; the first host ever takes the ports without one."""
    values = {
        "kernel": about.kernel,
        "driver": about.driver,
        "features": sorted(about.features),
        "missing": list(about.missing),
        "quarantine": list(about.quarantine),
        "isolation": about.isolation,
        "degraded": list(about.degraded),
        "lost": dict(about.lost),
        "refused_guards": list(about.refused_guards),
    }
    known = change.connection.execute(update(hosts).where(hosts.c.name == name).values(values))
    if known.rowcount == 0:
        new = {"name": name, "seen_at": now, "instance": instance.id, "pins": instance.pins}
        change.connection.execute(insert(hosts).values(values | new))
        if change.connection.scalar(select(func.count()).select_from(hosts)) == 1:
            _bind_unbound(change, name)


def write_heard(change: WriteTransaction, heard: Mapping[str, float]) -> None:
    """Store the last heartbeats of hosts."""
    rows = [{"this_host": name, "this_moment": at} for name, at in sorted(heard.items())]
    change.connection.execute(_HEARD, rows)


def _bind_unbound(change: WriteTransaction, host: str) -> None:
    """Give every port without a host to the only one there is."""
    unbound = ports.c.host == ""
    if change.connection.scalar(select(ports.c.id).where(unbound).limit(1)):
        change.connection.execute(update(ports).where(unbound).values(host=host))
        subscriptions.rebuild(change, host)
        change.journal_affected(AllPorts())
