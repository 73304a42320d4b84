"""Allocation: nobody gets what another has, and the lowest free address is one row away."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.store.world import World

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Network, Pool, Subnet
from vifguard.model.port import AddressPair, FixedIp
from vifguard.store.addressing.addresses import eui64, usable
from vifguard.store.errors import (
    AddressTakenError,
    MacTakenError,
    NoAddressLeftError,
    WrongAddressError,
)
from vifguard.store.nouns import ports, subnets
from vifguard.store.schema.mapping import address_of
from vifguard.store.schema.tables import free_ranges


@pytest.fixture
def network(world: World) -> Network:
    return world.network()


def free(world: World, subnet: Subnet) -> set[Any]:
    """Every address that the free ranges hold, which never touch or overlap."""
    with world.store.read() as snapshot:
        rows = snapshot.connection.execute(
            select(free_ranges.c.first, free_ranges.c.last)
            .where(free_ranges.c.subnet_id == subnet.id)
            .order_by(free_ranges.c.first)
        ).all()
    found: set[Any] = set()
    end = None
    for first, last in ((address_of(row.first), address_of(row.last)) for row in rows):
        assert first <= last
        assert end is None or int(first) > int(end) + 1, "two ranges that should be one"
        found |= {type(first)(number) for number in range(int(first), int(last) + 1)}
        end = last
    return found


def test_ports_get_the_lowest_free_address_of_each_family(world: World, network: Network) -> None:
    world.subnet(network, "10.0.0.0/24", "10.0.0.10-10.0.0.20")
    world.subnet(network, "2001:db8::/64", "2001:db8::10-2001:db8::20")
    found = [[str(f.address) for f in world.port(network).fixed_ips] for _ in range(2)]
    assert found == [["10.0.0.10", "2001:db8::10"], ["10.0.0.11", "2001:db8::11"]]


def test_a_released_address_is_the_lowest_again(world: World, network: Network) -> None:
    world.subnet(network, "10.0.0.0/28")
    made = [world.port(network) for _ in range(4)]
    world.delete_port(made[1])
    assert world.port(network).fixed_ips == made[1].fixed_ips


def test_when_one_subnet_is_full_the_next_one_serves(world: World, network: Network) -> None:
    world.subnet(network, "10.0.0.0/24", "10.0.0.5-10.0.0.5")
    second = world.subnet(network, "10.0.1.0/24", "10.0.1.5-10.0.1.5")
    world.port(network)
    assert world.port(network).fixed_ips == (FixedIp(second.id, IPv4Address("10.0.1.5")),)
    with pytest.raises(NoAddressLeftError, match=r"No more IP addresses available on network"):
        world.port(network)


def test_where_a_pair_has_what_is_free_it_is_told_so(world: World, network: Network) -> None:
    """The pools were said to be empty, and were not."""
    subnet = world.subnet(network, "10.0.0.0/24", "10.0.0.5-10.0.0.7")
    pairs = (AddressPair(ip_network("10.0.0.6/31")),)
    world.port(network, project_id="p2", address_pairs=pairs)
    free_but_covered = (
        rf"subnet {subnet.id} is in other projects' address pairs, such as 10.0.0.6/31"
    )
    with pytest.raises(NoAddressLeftError, match=free_but_covered):
        world.port(network)
    assert world.port(network, project_id="p2").fixed_ips[0].address == IPv4Address("10.0.0.6")
    assert world.port(network, project_id="p2").fixed_ips[0].address == IPv4Address("10.0.0.7")
    with pytest.raises(NoAddressLeftError, match="are empty"):
        world.port(network)


def test_a_refused_port_leaves_nothing_behind(world: World, network: Network) -> None:
    four = world.subnet(network, "10.0.0.0/24", "10.0.0.5-10.0.0.6")
    world.subnet(network, "2001:db8::/64", "2001:db8::5-2001:db8::5")
    world.port(network)
    with pytest.raises(NoAddressLeftError):
        world.port(network)
    assert free(world, four) == {IPv4Address("10.0.0.6")}
    with world.store.read() as snapshot:
        assert len(ports.read(snapshot, ports.ports.c.network_id == network.id)) == 1


@pytest.mark.parametrize(
    "address", ["10.0.0.0", "10.0.0.255", "10.0.1.5", "2001:db8::", "2001:db8:0:1::5"]
)
def test_an_address_no_port_can_have_is_refused(
    world: World, network: Network, address: str
) -> None:
    world.subnet(network, "10.0.0.0/24")
    world.subnet(network, "2001:db8::/64")
    with pytest.raises(WrongAddressError, match=address):
        world.port(network, AddressRequest(address=ip_address(address)))


@pytest.mark.parametrize("spelling", ["2001:db8::a", "2001:0DB8:0::000A"])
def test_an_address_is_one_however_it_is_spelled(
    world: World, network: Network, spelling: str
) -> None:
    world.subnet(network, "2001:db8::/64")
    world.port(network, AddressRequest(address=IPv6Address("2001:db8::a")))
    with pytest.raises(AddressTakenError, match="2001:db8::a already allocated"):
        world.port(network, AddressRequest(address=ip_address(spelling)))


def test_two_networks_may_use_the_same_range_and_mac(world: World) -> None:
    found = []
    for _ in range(2):
        network = world.network(shared=False)
        world.subnet(network, "10.0.0.0/24")
        found.append(world.port(network, mac="02:00:00:00:00:01"))
    assert found[0].fixed_ips[0].address == found[1].fixed_ips[0].address
    assert found[0].mac == found[1].mac


def test_one_mac_is_one_port_of_a_network(world: World, network: Network) -> None:
    world.port(network, mac="02:00:00:00:00:aa")
    with pytest.raises(MacTakenError, match="02:00:00:00:00:aa is in use"):
        world.port(network, mac="02:00:00:00:00:AA")
    other = world.port(network)
    with pytest.raises(MacTakenError, match="02:00:00:00:00:aa"):
        world.set_port(other, mac=world.port(world.network(), mac="02:00:00:00:00:aa").mac)


def test_addresses_an_update_no_longer_wants_are_free(world: World, network: Network) -> None:
    subnet = world.subnet(network, "10.0.0.0/29")
    port = world.port(network, AddressRequest(subnet.id), AddressRequest(subnet.id))
    kept = port.fixed_ips[1]
    after = world.set_port(
        port,
        wishes=(
            AddressRequest(address=kept.address),
            AddressRequest(address=IPv4Address("10.0.0.6")),
        ),
    )
    assert after.fixed_ips == (kept, FixedIp(subnet.id, IPv4Address("10.0.0.6")))
    assert IPv4Address("10.0.0.1") in free(world, subnet)
    assert world.set_port(port, wishes=()).fixed_ips == ()
    assert len(free(world, subnet)) == 6


def test_a_wish_for_the_subnet_keeps_the_address_it_has(world: World, network: Network) -> None:
    subnet = world.subnet(network, "10.0.0.0/24")
    world.port(network)
    port = world.port(network)
    assert world.set_port(port, wishes=(AddressRequest(subnet.id),)).fixed_ips == port.fixed_ips


def test_guests_form_their_own_address_where_the_subnet_says_slaac(
    world: World, network: Network
) -> None:
    subnet = world.subnet(network, "2001:db8::/64", ipv6_address_mode="slaac")
    port = world.port(network, mac="02:00:00:00:00:01")
    assert port.fixed_ips == (FixedIp(subnet.id, IPv6Address("2001:db8::ff:fe00:1")),)
    with pytest.raises(WrongAddressError, match="automatic addresses"):
        world.port(network, AddressRequest(address=IPv6Address("2001:db8::5")))
    moved = world.set_port(port, mac=world.port(world.network(), mac="02:00:00:00:00:02").mac)
    assert moved.fixed_ips[0].address == eui64(subnet.cidr, moved.mac)


def pair(prefix: str) -> tuple[AddressPair, ...]:
    return (AddressPair(ip_network(prefix)),)


def test_another_projects_pair_is_not_given_away(world: World, network: Network) -> None:
    world.subnet(network, "10.0.0.0/24")
    world.port(
        network, AddressRequest(address=IPv4Address("10.0.0.1")), address_pairs=pair("10.0.0.2/31")
    )
    port = world.port(network, project_id="p2")
    assert port.fixed_ips[0].address == IPv4Address("10.0.0.4")
    with pytest.raises(AddressTakenError):
        world.port(network, AddressRequest(address=IPv4Address("10.0.0.3")), project_id="p2")
    mine = world.port(network, AddressRequest(address=IPv4Address("10.0.0.3")))
    assert mine.project_id == "p1"


@pytest.mark.parametrize("prefix", ["10.0.0.1/32", "10.0.0.0/30", "10.0.0.128/26", "10.0.0.130/32"])
def test_a_pair_may_not_cover_what_another_project_has(
    world: World, network: Network, prefix: str
) -> None:
    world.subnet(network, "10.0.0.0/24")
    world.port(
        network,
        AddressRequest(address=IPv4Address("10.0.0.1")),
        project_id="p2",
        address_pairs=pair("10.0.0.128/27"),
    )
    with pytest.raises(AddressTakenError, match="another project's"):
        world.port(network, address_pairs=pair(prefix))
    assert world.port(network, project_id="p2", address_pairs=pair(prefix))


@pytest.mark.parametrize(
    ("cidr", "first", "last"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("10.0.0.7/32", "10.0.0.7", "10.0.0.7"),
        ("2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
        ("2001:db8::/127", "2001:db8::", "2001:db8::1"),
    ],
)
def test_the_usable_part_of_a_range(cidr: str, first: str, last: str) -> None:
    assert usable(ip_network(cidr)) == (ip_address(first), ip_address(last))


def test_pools_that_change_keep_what_is_taken(world: World, network: Network) -> None:
    subnet = world.subnet(network, "10.0.0.0/29", "10.0.0.1-10.0.0.3")
    taken = world.port(network).fixed_ips[0].address
    with world.store.change() as change:
        before = subnets.get(change, subnet.id)
        wider = world_pools("10.0.0.1-10.0.0.4")
        subnets.update_subnet(change, network, before, {"pools": wider})
    assert free(world, subnet) == {IPv4Address(f"10.0.0.{n}") for n in (2, 3, 4)}
    assert taken == IPv4Address("10.0.0.1")


def world_pools(*pools: str) -> tuple[Any, ...]:
    return tuple(Pool(*map(ip_address, pool.split("-"))) for pool in pools)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_free_ranges_are_the_pools_without_what_is_taken(
    fresh_world: Any, data: st.DataObject
) -> None:
    with fresh_world() as world:
        network = world.network()
        subnet = world.subnet(network, "10.0.0.0/28", "10.0.0.2-10.0.0.6", "10.0.0.9-10.0.0.12")
        pool = {IPv4Address(f"10.0.0.{n}") for n in (2, 3, 4, 5, 6, 9, 10, 11, 12)}
        taken: dict[IPv4Address, Any] = {}
        for _ in range(data.draw(st.integers(1, 25))):
            match data.draw(st.sampled_from(["any", "this", "release"])):
                case "any" if pool - taken.keys():
                    port = world.port(network)
                    assert port.fixed_ips[0].address == min(pool - taken.keys())
                    taken[port.fixed_ips[0].address] = port
                case "this":
                    wanted = IPv4Address(f"10.0.0.{data.draw(st.integers(1, 14))}")
                    if wanted in taken:
                        with pytest.raises(AddressTakenError):
                            world.port(network, AddressRequest(address=wanted))
                    else:
                        taken[wanted] = world.port(network, AddressRequest(address=wanted))
                case "release" if taken:
                    world.delete_port(taken.pop(data.draw(st.sampled_from(sorted(taken)))))
            assert free(world, subnet) == pool - taken.keys()
