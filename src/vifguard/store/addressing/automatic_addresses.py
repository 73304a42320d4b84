"""Addresses that guests form themselves come and go with their subnet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from sqlalchemy import ColumnElement, select

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.model.port import SERVING
from vifguard.store.addressing import addresses
from vifguard.store.errors import AddressTakenError
from vifguard.store.nouns import ports
from vifguard.store.schema.tables import allocations
from vifguard.store.schema.tables import ports as table
from vifguard.store.transaction import WriteTransaction
from vifguard.store.updates import membership


def assign_automatic(change: WriteTransaction, subnet: Subnet) -> frozenset[str]:
    """Give each port of an automatic subnet's network its address there (as Neutron does).

    A port goes without where another project's address pair holds that address. Returns the
    projects of these ports.
    """
    found = ports.read(change, table.c.network_id == subnet.network_id)
    for stored in found:
        kept = tuple(
            AddressRequest(fixed.subnet_id, fixed.address) for fixed in stored.port.fixed_ips
        )
        with suppress(AddressTakenError):
            ports.update_port(change, stored, {}, kept)
    return frozenset(stored.port.project_id for stored in found)


def release_automatic(change: WriteTransaction, subnet: Subnet) -> None:
    """Release the addresses of a subnet that do not keep it from being deleted.

    These are all of an automatic subnet, and of others those of ports that serve the network.
    """
    change.allocate_revision()
    has_one = select(allocations.c.port_id).where(allocations.c.subnet_id == subnet.id)
    which: ColumnElement[bool] = table.c.id.in_(has_one)
    if not subnet.is_automatic:
        which &= table.c.device_owner.in_(SERVING)
    for stored in ports.read(change, which):
        port = stored.port
        removed = [fixed for fixed in port.fixed_ips if fixed.subnet_id == subnet.id]
        kept = tuple(fixed for fixed in port.fixed_ips if fixed not in removed)
        after = replace(port, fixed_ips=kept)
        spare = ((subnet.id, fixed.address) for fixed in removed)
        with change.batch() as batch:
            membership_change = membership.queue(batch, port, after, stored.ip_groups)
            released = addresses.queue_release(
                batch, spare, [subnet], port.project_id, is_shared=False
            )

        released.write(change)
        ports.write(change, stored, after)
        membership_change.write(change, after)
