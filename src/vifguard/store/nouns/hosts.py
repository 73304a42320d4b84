"""Hosts: the report of each about itself, its last heartbeat, and the run of its agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy import delete as sql_delete

from vifguard.feed.messages import NO_INSTANCE, HostReport, Instance, SecondAgentError
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
class StoredHost:
    """A host, its report about itself, and its last heartbeat (seconds since the epoch).

    `wiring` is a WiringReport as JSON: creating a port reads every host, and no wiring.
    `silent_since`: the last heartbeat of a silent host; 0 for one that lives. `instance` is the
    run of its agent.
    """

    name: str
    about: HostReport
    seen_at: float
    wiring: Mapping[str, Any] = field(default_factory=dict)
    silent_since: float = 0.0
    instance: Instance = NO_INSTANCE

    @property
    def is_alive(self) -> bool:
        """Whether its last heartbeat was a moment ago."""
        return not self.silent_since


_HEARD = (
    update(hosts)
    .where(hosts.c.name == bindparam("this_host"))
    .values(seen_at=bindparam("this_moment"))
)
_ALL = Statement(select(hosts).order_by(hosts.c.name))


def queue(batch: Batch) -> Pending[list[StoredHost]]:
    """Queue reading every host that ever reported, by name."""
    return batch.queue(_ALL, {}, lambda rows: _hosts_of(rows, batch.snapshot.heartbeats))


def read(snapshot: Snapshot) -> list[StoredHost]:
    """Every host that ever reported, by name."""
    return _hosts_of(snapshot.rows(_ALL, {}), snapshot.heartbeats)


def _hosts_of(rows: Iterable[Record], heartbeats: Heartbeats) -> list[StoredHost]:
    return [
        StoredHost(
            row.name,
            HostReport(
                row.kernel,
                row.driver,
                frozenset(row.features),
                tuple(row.missing),
                tuple(row.quarantine),
                row.isolation,
                tuple(row.degraded or ()),
                row.lost or {},
                tuple(row.refused_guards or ()),
            ),
            heartbeats.last(row.name, row.seen_at),
            row.wiring or {},
            heartbeats.silent_since(row.name, row.seen_at),
            Instance(row.instance, row.pins),
        )
        for row in rows
    ]


def get(snapshot: Snapshot, name: str) -> StoredHost:
    """One host; raises MissingError."""
    for host in read(snapshot):
        if host.name == name:
            return host
    raise MissingError("host", name)


def write_reached(change: WriteTransaction, name: str, revision: int) -> None:
    """Store the revision up to which a host reports that it enforces everything."""
    change.connection.execute(update(hosts).where(hosts.c.name == name).values(reached=revision))


def only_host(known: Sequence[StoredHost]) -> str:
    """The host of every port that names none; empty where there is not just one host."""
    return known[0].name if len(known) == 1 else ""


def isolation_unsupported(snapshot: Snapshot, *, named: bool) -> str:
    """Why isolated networks cannot be offered; empty when a host that lives supports them.

    One that does not keeps their ports closed, and is no reason to refuse them elsewhere. `named`:
    the reason names the hosts.
    """
    return _unsupported(snapshot, lambda about: about.isolation, "keep networks apart", named=named)


def security_groups_unsupported(snapshot: Snapshot, *, named: bool) -> str:
    """Why no host can enforce security groups; empty when a living one can. `named`: see above."""
    return _unsupported(
        snapshot,
        lambda about: Guard.SECURITY_GROUPS in about.features,
        "hold security groups",
        named=named,
    )


def _unsupported(
    snapshot: Snapshot, can: Callable[[HostReport], bool], what: str, *, named: bool
) -> str:
    known = read(snapshot)
    if not known:
        return "no host has reported yet"
    able = [host for host in known if can(host.about)]
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


def _known(snapshot: Snapshot, name: str) -> StoredHost | None:
    return next((host for host in read(snapshot) if host.name == name), None)


def _require_own(known: StoredHost, instance: str, pins: str) -> None:
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
    known = get(change, name)
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
