"""An address that was given back on a shared network is no other project's for a while."""

import re
from typing import Any

import pytest
from sqlalchemy import func, select, update
from tests.store.world import World

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Network, Pool
from vifguard.store.addressing import resting
from vifguard.store.errors import AddressTakenError, NoAddressLeftError
from vifguard.store.nouns import ip_groups, networks, subnets
from vifguard.store.schema import tables


@pytest.fixture(params=[4, 6])
def network(world: World, request: Any) -> Network:
    """A shared one with four addresses."""
    world.store.rest = 600.0
    made = world.network()
    if request.param == 4:
        world.subnet(made, "10.0.0.0/29", "10.0.0.1-10.0.0.4")
    else:
        world.subnet(made, "fd00::/125", "fd00::1-fd00::4")
    return made


def address_of(port: Any) -> Any:
    return port.fixed_ips[0].address


def later(world: World, seconds: float) -> None:
    """Time goes by."""
    with world.store.change() as change:
        resting_until = tables.resting.c.until
        change.connection.execute(update(tables.resting).values(until=resting_until - seconds))


def many(world: World) -> int:
    with world.store.read() as snapshot:
        return snapshot.connection.scalar(select(func.count()).select_from(tables.resting)) or 0


def test_what_one_gave_back_is_not_chosen_for_another(world: World, network: Network) -> None:
    """A1.7: a name that still pointed there was another project's at once."""
    gone = world.port(network, project_id="p1")
    world.delete_port(gone)
    others = [world.port(network, project_id="p2") for _ in range(2)]
    assert address_of(gone) not in map(address_of, others)
    later(world, 599)
    world.delete_port(others[0])
    assert many(world) == 2
    later(world, 2)
    assert address_of(world.port(network, project_id="p2")) == address_of(gone)
    assert many(world) == 1


def test_it_rests_whichever_way_it_is_given_back(world: World, network: Network) -> None:
    port = world.port(network, project_id="p1")
    had = address_of(port)
    world.set_port(port, ())
    assert address_of(world.port(network, project_id="p2")) != had
    group = world.group(network, project_id="p1")
    (held,) = group.addresses
    with world.store.change() as change:
        ip_groups.delete_group(change, ip_groups.get(change, group.id))
    assert address_of(world.port(network, project_id="p2")) not in {had, held}


def test_only_its_project_names_it_at_once(world: World, network: Network) -> None:
    gone = world.port(network, project_id="p1")
    world.delete_port(gone)
    wishes = (AddressRequest(address=address_of(gone)),)
    with pytest.raises(AddressTakenError) as refused:
        world.group(network, project_id="p2", wishes=wishes)
    assert re.search(
        r"it rests until 2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ; choose another", str(refused.value)
    )
    own = world.group(network, project_id="p1", wishes=wishes)
    assert own.addresses == (address_of(gone),)
    assert many(world) == 0
    with world.store.change() as change:
        ip_groups.delete_group(change, ip_groups.get(change, own.id))
    later(world, 601)
    assert world.group(network, project_id="p2", wishes=wishes).addresses == own.addresses


def test_the_operator_gives_it_to_a_port_at_once(world: World, network: Network) -> None:
    gone = world.port(network, project_id="p1")
    world.delete_port(gone)
    port = world.port(network, AddressRequest(address=address_of(gone)), project_id="p2")
    assert address_of(port) == address_of(gone)
    assert many(world) == 0


def test_where_there_is_no_other_it_is_used_earlier(world: World, network: Network) -> None:
    """The project's own first, then the one that has rested longest."""
    ports = [world.port(network, project_id=f"p{n}") for n in range(1, 5)]
    for number in (2, 0, 1):
        world.delete_port(ports[number])
        later(world, 10)
    assert address_of(world.port(network, project_id="p1")) == address_of(ports[0])
    assert address_of(world.port(network, project_id="p4")) == address_of(ports[2])
    assert address_of(world.port(network, project_id="p4")) == address_of(ports[1])
    with pytest.raises(NoAddressLeftError):
        world.port(network, project_id="p4")
    assert many(world) == 0


def test_of_an_isolated_network_and_where_the_time_is_none_nothing_rests(
    world: World, network: Network
) -> None:
    own = world.network(shared=False)
    world.subnet(own, "10.0.0.0/29")
    port = world.port(own)
    world.delete_port(port)
    assert address_of(world.port(own)) == address_of(port)
    world.store.rest = 0.0
    port = world.port(network)
    world.delete_port(port)
    assert address_of(world.port(network, project_id="p2")) == address_of(port)
    assert many(world) == 0


def test_it_rests_on_when_the_pools_change(world: World, network: Network) -> None:
    gone = world.port(network, project_id="p1")
    world.delete_port(gone)
    with world.store.change() as change:
        now = networks.get(change, network.id).network
        (subnet,) = subnets.read(change, tables.subnets.c.network_id == network.id)
        (pool,) = subnet.subnet.pools
        pools = {"pools": (Pool(pool.start, pool.end + 1),)}
        subnets.update_subnet(change, now, subnet, pools)
    assert address_of(world.port(network, project_id="p2")) != address_of(gone)
    later(world, 601)
    assert address_of(world.port(network, project_id="p2")) == address_of(gone)
    assert len({address_of(world.port(network, project_id="p2")) for _ in range(3)}) == 3
    with pytest.raises(NoAddressLeftError):
        world.port(network, project_id="p2")


def test_it_rests_on_when_its_subnet_is_made_again(world: World, network: Network) -> None:
    """Who could make subnets gave another's address away at once."""
    gone = world.port(network, project_id="p1")
    world.delete_port(gone)
    with world.store.change() as change:
        now = networks.get(change, network.id).network
        (subnet,) = subnets.of_network(change, network.id)
        subnets.delete_subnet(change, now, subnet)
    assert many(world) == 1
    (pool,) = subnet.pools
    world.subnet(network, str(subnet.cidr), f"{pool.start}-{pool.end}")
    others = {address_of(world.port(network, project_id="p2")) for _ in range(3)}
    assert address_of(gone) not in others
    group = world.group(network, wishes=(AddressRequest(address=address_of(gone)),))
    assert group.addresses == (address_of(gone),)
    assert many(world) == 0


@pytest.mark.parametrize("made_again", [True, False])
def test_what_has_rested_is_forgotten_with_its_network_and_before_another_subnet(
    world: World, network: Network, *, made_again: bool
) -> None:
    world.delete_port(world.port(network, project_id="p1"))
    with world.store.change() as change:
        now = networks.get(change, network.id).network
        (subnet,) = subnets.of_network(change, network.id)
        subnets.delete_subnet(change, now, subnet)
        if not made_again:
            networks.delete_network(change, now)
    later(world, 601)
    if made_again:
        world.subnet(network, "10.9.0.0/29", "10.9.0.1-10.9.0.4")
    assert many(world) == 0


def test_the_time_is_the_databases(world: World) -> None:
    with world.store.read() as snapshot:
        (one,) = snapshot.connection.execute(select(resting.now())).scalars()
    assert one > 1_700_000_000
