"""Hosts: what each said of itself, and when it was last heard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, update

from vifguard.feed.messages import HostReport
from vifguard.model.guard import Guard
from vifguard.resolve.touched import AllPorts
from vifguard.store import followers
from vifguard.store.errors import MissingError
from vifguard.store.prepared import Prepared
from vifguard.store.rows import Record
from vifguard.store.tables import hosts, ports
from vifguard.store.transaction import Answer, Change, Snapshot


@dataclass(frozen=True, slots=True)
class StoredHost:
    """A host, what it said of itself, and when (seconds since the epoch)."""

    name: str
    about: HostReport
    seen_at: float


_ALL = Prepared(select(hosts).order_by(hosts.c.name))


def ask(snapshot: Snapshot) -> Answer[list[StoredHost]]:
    """Every host that ever reported, by name."""
    return snapshot.ask(_ALL, {}, _hosts_of)


def read(snapshot: Snapshot) -> list[StoredHost]:
    """Every host that ever reported, by name."""
    return ask(snapshot)()


def _hosts_of(rows: Iterable[Record]) -> list[StoredHost]:
    return [
        StoredHost(
            row.name,
            HostReport(
                row.kernel,
                row.driver,
                frozenset(row.features),
                tuple(row.missing),
                tuple(row.floor),
                row.isolation,
            ),
            row.seen_at,
        )
        for row in rows
    ]


def get(snapshot: Snapshot, name: str) -> StoredHost:
    """One host; raises MissingError."""
    for host in read(snapshot):
        if host.name == name:
            return host
    raise MissingError("host", name)


def write_reached(change: Change, name: str, revision: int) -> None:
    """Store up to which revision a host says that it holds everything."""
    change.connection.execute(update(hosts).where(hosts.c.name == name).values(reached=revision))


def only_host(known: Sequence[StoredHost]) -> str:
    """The host where every port is whose owner names none; empty where there is not just one."""
    return known[0].name if len(known) == 1 else ""


def why_no_isolation(snapshot: Snapshot) -> str:
    """Why isolated networks cannot be offered; empty when every host can hold them."""
    known = read(snapshot)
    if not known:
        return "no host has reported yet"
    unable = [host.name for host in known if not host.about.isolation]
    return f"host {', '.join(unable)} cannot keep networks apart" if unable else ""


def why_no_groups(snapshot: Snapshot) -> str:
    """Why security groups cannot be offered; empty when every host can hold them."""
    return why_without_groups(read(snapshot))


def why_without_groups(known: Sequence[StoredHost]) -> str:
    """Why these hosts cannot hold security groups; empty when every one can."""
    if not known:
        return "no host has reported yet"
    unable = [host.name for host in known if Guard.GROUPS not in host.about.features]
    return f"host {', '.join(unable)} cannot hold security groups" if unable else ""


def write(change: Change, name: str, about: HostReport, now: float) -> None:
    """Store what a host says of itself; the first host ever takes the ports without one."""
    values = {
        "kernel": about.kernel,
        "driver": about.driver,
        "features": sorted(about.features),
        "missing": list(about.missing),
        "floor": list(about.floor),
        "isolation": about.isolation,
        "seen_at": now,
    }
    known = change.connection.execute(update(hosts).where(hosts.c.name == name).values(values))
    if known.rowcount == 0:
        change.connection.execute(insert(hosts).values(values | {"name": name}))
        if change.connection.scalar(select(func.count()).select_from(hosts)) == 1:
            _bind_unbound(change, name)


def seen(change: Change, name: str, now: float) -> None:
    """A host spoke; one that never said what it is has no row yet."""
    change.connection.execute(update(hosts).where(hosts.c.name == name).values(seen_at=now))


def _bind_unbound(change: Change, host: str) -> None:
    """Give every port without a host to the only one there is."""
    unbound = ports.c.host == ""
    if change.connection.scalar(select(ports.c.id).where(unbound).limit(1)):
        change.connection.execute(update(ports).where(unbound).values(host=host))
        followers.adopt_all(change, host)
        change.touch(AllPorts())
