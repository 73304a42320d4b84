"""IP groups take IPv6 link-local addresses, which are of no subnet."""

from ipaddress import ip_address, ip_network

import pytest
from tests.store.world import World

from vifguard.model.address_request import AddressRequest
from vifguard.model.port import AddressPair
from vifguard.store.errors import AddressTakenError, WrongAddressError
from vifguard.store.nouns import ip_groups


def test_a_group_takes_link_local_addresses(world: World) -> None:
    network, elsewhere = world.network(), world.network()
    world.subnet(network, "10.0.0.0/24")
    lower, higher = (ip_address(text) for text in ("fe80::1", "fe80::2"))
    member, other = (world.port(network, host="h1") for _ in range(2))
    group = world.group(network, member, wishes=(AddressRequest(address=lower),))
    assert group.addresses == (lower,)
    policies = {each.policy.port_id: each.policy for each in world.complete().ports}
    assert policies[member.id].owns(lower)
    assert lower in policies[member.id].watched
    assert not policies[other.id].owns(lower)
    with pytest.raises(AddressTakenError):
        world.group(network, project_id="p2", wishes=(AddressRequest(address=lower),))
    world.group(elsewhere, project_id="p2", wishes=(AddressRequest(address=lower),))
    now = world.set_group(group, (AddressRequest(address=higher), AddressRequest(address=lower)))
    assert now.addresses == (higher, lower)
    assert world.set_group(group, (AddressRequest(address=higher),)).addresses == (higher,)
    world.group(network, project_id="p2", wishes=(AddressRequest(address=lower),))
    with world.store.change() as change:
        ip_groups.delete_group(change, ip_groups.get(change, group.id))
    world.group(network, project_id="p2", wishes=(AddressRequest(address=higher),))


@pytest.mark.parametrize("text", ["fe80::200:ff:fe00:1", "fe80::", "fe80:1::1"])
def test_a_link_local_address_that_is_no_groups(world: World, text: str) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    with pytest.raises(WrongAddressError, match="fe80"):
        world.group(network, wishes=(AddressRequest(address=ip_address(text)),))


def test_a_port_takes_no_link_local_address(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    with pytest.raises(WrongAddressError):
        world.port(network, AddressRequest(address=ip_address("fe80::1")))


def test_a_group_takes_no_link_local_address_of_anothers_pair(world: World) -> None:
    network = world.network()
    world.subnet(network, "10.0.0.0/24")
    pair = AddressPair(ip_network("fe80::1/128"), None)
    world.port(network, address_pairs=(pair,))
    with pytest.raises(AddressTakenError):
        world.group(
            network, project_id="p2", wishes=(AddressRequest(address=ip_address("fe80::1")),)
        )
    world.group(network, wishes=(AddressRequest(address=ip_address("fe80::1")),))
