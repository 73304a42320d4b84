"""Networks: read, create, update, delete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, true, update

from vifguard.model.address import LINK_LOCAL_64
from vifguard.model.guard import LinkLocal
from vifguard.model.network import Network
from vifguard.model.port import SERVING
from vifguard.model.rbac_policy import EVERY_PROJECT, RbacPolicy, Sharable
from vifguard.resolve.affected import NOTHING, AffectedPorts, affected_by_network
from vifguard.store.addressing import learned
from vifguard.store.batch import Batch, Pending
from vifguard.store.database.statements import Statement
from vifguard.store.errors import InUseError, MissingError, SharedInUseError, UplinkTakenError
from vifguard.store.nouns import dependents, rbac_policies, subnets
from vifguard.store.nouns import ports as stored_ports
from vifguard.store.schema.mapping import NETWORK, stamp_of
from vifguard.store.schema.row_mapping import Record
from vifguard.store.schema.tables import ip_groups, networks, ports
from vifguard.store.stored_nouns import StoredNetwork
from vifguard.store.transaction import Snapshot, WriteTransaction

_ONE = Statement(select(networks).where(networks.c.id == bindparam("id")))
_SEEN = Statement(
    select(networks, rbac_policies.shares(networks.c.id).label("is_shared")).where(
        networks.c.id == bindparam("id")
    )
)


def read(snapshot: Snapshot, which: ColumnElement[bool]) -> list[StoredNetwork]:
    """The networks that a condition on their table selects, in the order they were made."""
    rows = snapshot.connection.execute(
        select(networks).where(which).order_by(networks.c.created_at, networks.c.id)
    )
    return [_stored(row) for row in rows]


def queue(
    batch: Batch, network_id: str, project_id: str
) -> Pending[tuple[StoredNetwork, bool] | None]:
    """Queue reading one network, if it is there, and whether it is shared with a project."""

    def read(rows: list[Record]) -> tuple[StoredNetwork, bool] | None:
        return (_stored(rows[0]), rows[0].is_shared) if rows else None

    return batch.queue(_SEEN, {"id": network_id, "project_id": project_id}, read)


def get(snapshot: Snapshot, network_id: str) -> StoredNetwork:
    """One network; raises MissingError."""
    for row in snapshot.rows(_ONE, {"id": network_id}):
        return _stored(row)
    raise MissingError("network", network_id)


def create(change: WriteTransaction, network: Network) -> StoredNetwork:
    """Store a network; raises UplinkTakenError where its uplink is taken."""
    _require_uplink_free(change, network)
    if network.shared:
        _share_with_all(change, network)
    change.connection.execute(
        insert(networks).values(NETWORK.values(network) | change.created_stamp())
    )
    change.journal_affected(affected_by_network(None, network))
    return get(change, network.id)


def update_network(
    change: WriteTransaction, before: StoredNetwork, changes: Mapping[str, Any]
) -> StoredNetwork:
    """Change fields of a network; raises ConflictError where others depend on them.

    `shared` means with every project; it stays shared while single ones have it.
    """
    after = replace(before.network, **changes)
    _require_uplink_free(change, after)
    if "shared" in changes:
        after = replace(after, shared=_with_all(change, after))
    return _write(change, before, after)


def recheck_sharing(
    change: WriteTransaction, network_id: str, lost: str | None = None
) -> StoredNetwork:
    """Make a network shared while an RBAC policy shares it; `lost` is a target that lost it.

    Raises SharedInUseError where a project that loses the network uses it.
    """
    before = get(change, network_id)
    others = rbac_policies.targets(change, network_id) - {before.network.project_id}
    after = replace(before.network, shared=bool(others))
    if lost is not None:
        _require_unused(change, after, lost)
    return _write(change, before, after)


def delete_network(change: WriteTransaction, network: Network) -> None:
    """Delete a network, its subnets, and the ports that serve it.

    Raises InUseError while other ports, or IP groups, are on it.
    """
    serving = ports.c.device_owner.in_(SERVING)
    for table, which, noun in ((ports, ~serving, "port"), (ip_groups, true(), "IP group")):
        here = (table.c.network_id == network.id) & which
        ids, discreet = dependents.words_for(change, table, here, network.project_id)
        if ids:
            head = (
                f"Unable to complete operation on network {network.id}. There are one or more "
                f"{noun}s still in use on the network, id for these {noun}s is:"
            )
            raise InUseError("network", f"{head} {ids}.", f"{head} {discreet}.")
    beside = subnets.of_network(change, network.id)
    for stored in stored_ports.read(change, (ports.c.network_id == network.id) & serving):
        stored_ports.delete_port(change, stored, beside)
    for subnet in beside:
        subnets.delete_subnet(change, network, subnet)
    rbac_policies.forget(change, network.id)
    change.connection.execute(delete(networks).where(networks.c.id == network.id))
    change.allocate_revision()
    change.journal_affected(affected_by_network(network, None))


def _stored(row: Record) -> StoredNetwork:
    return StoredNetwork(NETWORK.read(row), stamp_of(row))


def _write(change: WriteTransaction, before: StoredNetwork, after: Network) -> StoredNetwork:
    values = NETWORK.values(after) | change.updated_stamp(before.stamp)
    change.connection.execute(update(networks).where(networks.c.id == after.id).values(values))
    if not (after.link_local is LinkLocal.LEARNED and after.learned_limits.link_local):
        learned.release(change, after.id, LINK_LOCAL_64)
    if not after.learned_limits.others:
        for subnet in subnets.of_network(change, after.id):
            learned.release(change, after.id, subnet.cidr)
    change.journal_affected(_affected(before.network, after))
    return get(change, after.id)


def _with_all(change: WriteTransaction, network: Network) -> bool:
    """Share a network with every project, or no more; return whether any still shares it."""
    targets = rbac_policies.targets(change, network.id)
    if network.shared:
        if EVERY_PROJECT not in targets:
            _share_with_all(change, network)
        return True
    still = bool(targets - {EVERY_PROJECT, network.project_id})
    if EVERY_PROJECT in targets:
        rbac_policies.withdraw(change, network.id, EVERY_PROJECT)
        _require_unused(change, replace(network, shared=still), EVERY_PROJECT)
    return still


def _share_with_all(change: WriteTransaction, network: Network) -> None:
    policy_id = str(uuid4())
    rbac_policies.create(
        change,
        RbacPolicy(policy_id, network.project_id, Sharable.NETWORK, network.id, EVERY_PROJECT),
    )


def _affected(before: Network, after: Network) -> AffectedPorts:
    # A change that hosts do not get must not make a port wait for them.
    if _fields_of_policy(before) == _fields_of_policy(after):
        return NOTHING
    return affected_by_network(before, after)


def _fields_of_policy(network: Network) -> Network:
    return replace(
        network,
        name="",
        description="",
        project_id="",
        dns_domain="",
        zone_hints=(),
        external=False,
    )


def _require_uplink_free(change: WriteTransaction, network: Network) -> None:
    if not network.physical:
        return
    other = change.connection.scalar(
        select(networks.c.id).where(
            networks.c.physical == network.physical, networks.c.id != network.id
        )
    )
    if other:
        raise UplinkTakenError(
            f"Unable to create the flat network. Physical network {network.physical} is in use "
            f"by network {other}."
        )


def _require_unused(change: WriteTransaction, network: Network, lost: str) -> None:
    """Raise SharedInUseError where a project loses a network it uses, or isolation cannot be."""
    remaining = rbac_policies.targets(change, network.id)
    if EVERY_PROJECT in remaining:
        return
    strangers = _projects_on(change, network.id) - {network.project_id} - remaining
    if lost != EVERY_PROJECT and network.shared:
        strangers &= {lost}
    if strangers:
        used = "Multiple tenants are using it: project_id="
        known = f"{used}{lost}" if lost in strangers else "Other projects are using it"
        raise _shared_in_use(network, f"{used}{', '.join(sorted(strangers))}", known)
    if not network.shared:
        _require_isolable(change, network)


def _projects_on(change: WriteTransaction, network_id: str) -> set[str]:
    found: set[str] = set()
    for table in (ports, ip_groups):
        mine = select(table.c.project_id).where(table.c.network_id == network_id).distinct()
        found |= set(change.connection.scalars(mine))
    return found


def _require_isolable(change: WriteTransaction, network: Network) -> None:
    if network.physical:
        raise _shared_in_use(
            network,
            f"It has the uplink {network.physical!r}, and an isolated network has none",
            "It has an uplink, and an isolated network has none",
        )
    here = (ports.c.network_id == network.id) & (ports.c.host != "")
    hosts = change.connection.scalars(select(ports.c.host).where(here).distinct().limit(2)).all()
    if len(hosts) > 1:
        raise _shared_in_use(
            network,
            f"Its ports are on hosts {', '.join(hosts)}; an isolated network is kept on one host",
            "Its ports are on several hosts; an isolated network is kept on one host",
        )


def _shared_in_use(network: Network, why: str, discreet: str = "") -> SharedInUseError:
    head = f"Unable to reconfigure sharing settings for network {network.id}."
    return SharedInUseError(f"{head} {why}.", f"{head} {discreet or why}.")
