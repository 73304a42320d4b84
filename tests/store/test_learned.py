"""Addresses that guests claim: who gets them, what makes room, and how they end."""

from ipaddress import ip_address, ip_network

import pytest

from vifguard.feed.messages import (
    AddressClaim,
    AdoptedBridge,
    Detection,
    RefusedClaim,
    Report,
    WiringReport,
)
from vifguard.model.address import Mac
from vifguard.model.address_request import AddressRequest
from vifguard.model.guard import LinkLocal, Profile
from vifguard.model.learned import LearnedLimits
from vifguard.model.port import AddressPair
from vifguard.model.security_group import Rule
from vifguard.model.verdict import Direction
from vifguard.store.addressing import learned
from vifguard.store.errors import AddressTakenError
from vifguard.store.nouns import networks, ports, subnets
from vifguard.store.updates import address_sets

PREFIX = "2001:db8::/64"
CHOSEN, OTHER, THIRD = (ip_address(f"2001:db8::a0b0:0:0:{n}") for n in (1, 2, 3))
LINK_LOCAL, OTHER_LINK_LOCAL = (ip_address(f"fe80::a0b0:0:0:{n}") for n in (1, 2))
EUI64 = ip_address("2001:db8::200:5eff:fe10:2030")
GATEWAY = "2001:db8::a0b0:9:9:9"


@pytest.fixture
def net(world):
    network = world.network()
    world.subnet(network, "192.0.2.0/24")
    world.subnet(network, PREFIX, ipv6_address_mode="slaac", gateway=ip_address(GATEWAY))
    return network


def claim(world, port, address, *unused, mac=None, host="h1"):
    """What the server says to a claim: whether it is refused, and whether as taken."""
    given = AddressClaim(port.id, address, mac or port.mac, unused)
    answer = world.store.record_report(Report(host, address_claims=(given,)))
    assert all((each.port_id, each.address) == (port.id, address) for each in answer.refused)
    return [each.taken for each in answer.refused]


def conclude(world, port, address, *, unique=True, host="h1"):
    found = Detection(port.id, address, unique)
    world.store.record_report(Report(host, detections=(found,)))


def learn(world, port, address):
    assert claim(world, port, address) == []
    conclude(world, port, address)


def known(world, port):
    """The addresses of a port, and whether each is proven."""
    with world.store.read() as snapshot:
        return {each.address: each.proven for each in ports.get(snapshot, port.id).port.learned}


def policy(world, port):
    return next(
        each.policy
        for each in world.store.update_after("h1", 0).ports
        if each.policy.port_id == port.id
    )


def test_a_claim_makes_an_address_tentative_and_its_detection_makes_it_own(world, net) -> None:
    port = world.port(net)
    assert claim(world, port, CHOSEN) == []
    assert known(world, port) == {CHOSEN: False}
    assert policy(world, port).tentative == {CHOSEN}
    conclude(world, port, CHOSEN)
    assert known(world, port) == {CHOSEN: True}
    assert policy(world, port).learned == {CHOSEN}


def test_its_host_is_told_and_the_port_stays_active(world, net) -> None:
    port = world.port(net)
    with world.store.read() as snapshot:
        before = ports.get(snapshot, port.id)
    revision = world.store.update_after("h1", 0).revision
    claim(world, port, CHOSEN)
    update = world.store.update_after("h1", revision)
    assert [each.policy.tentative for each in update.ports] == [{CHOSEN}]
    with world.store.read() as snapshot:
        after = ports.get(snapshot, port.id)
    assert after.policy_revision == before.policy_revision
    assert after.stamp.updated_at > before.stamp.updated_at


def test_a_claim_that_is_told_again_is_answered_alike(world, net) -> None:
    port = world.port(net)
    assert claim(world, port, CHOSEN) == claim(world, port, CHOSEN) == []


def test_a_defended_address_is_not_the_ports(world, net) -> None:
    port = world.port(net)
    claim(world, port, CHOSEN)
    conclude(world, port, CHOSEN, unique=False)
    assert known(world, port) == {}


def test_first_come_first_served(world, net) -> None:
    first, second = world.port(net), world.port(net)
    assert claim(world, first, CHOSEN) == []
    assert claim(world, second, CHOSEN) == [True]
    assert known(world, second) == {}


def test_two_claims_in_one_report(world, net) -> None:
    first, second = world.port(net), world.port(net)
    claims = tuple(AddressClaim(port.id, CHOSEN, port.mac) for port in (first, second))
    answer = world.store.record_report(Report("h1", address_claims=claims))
    assert answer.refused == (RefusedClaim(second.id, CHOSEN, taken=True),)


def test_another_networks_address_is_nobodys_here(world, net) -> None:
    elsewhere = world.network()
    world.subnet(elsewhere, PREFIX, ipv6_address_mode="slaac")
    assert claim(world, world.port(elsewhere), CHOSEN) == []
    assert claim(world, world.port(net), CHOSEN) == []


@pytest.mark.parametrize(
    "address", ["2001:db8::a0b0:0:0:7", "2001:db8::a0b0:ff:0:7", "fe80::a0b0:0:0:7"]
)
def test_what_the_model_gave_to_another_is_taken(world, net, address) -> None:
    pairs = (
        AddressPair(ip_network("2001:db8::a0b0:0:0:7/128")),
        AddressPair(ip_network("2001:db8::a0b0:ff:0:0/96")),
        AddressPair(ip_network("fe80::a0b0:0:0:7/128")),
    )
    world.port(net, address_pairs=pairs)
    assert claim(world, world.port(net), ip_address(address)) == [True]


def test_a_gateway_is_taken(world, net) -> None:
    assert claim(world, world.port(net), ip_address(GATEWAY)) == [True]


def host_has(world, *addresses):
    """Let host h1 say what it has itself on the bridge to `lan`."""
    bridge = AdoptedBridge("br0", "lan", addresses, (), 0)
    world.store.record_report(Report("h1", wiring=WiringReport((bridge,))))


@pytest.fixture
def lan(world):
    network = world.network(physical="lan")
    world.subnet(network, PREFIX, ipv6_address_mode="slaac")
    return network


def test_what_a_host_itself_has_is_taken(world, lan, net) -> None:
    port, elsewhere = world.port(lan), world.port(net)
    host_has(world, CHOSEN, LINK_LOCAL)
    assert claim(world, port, CHOSEN) == claim(world, port, LINK_LOCAL) == [True]
    assert claim(world, elsewhere, CHOSEN) == []


def test_a_ports_address_is_none_of_a_hosts(world, lan, caplog) -> None:
    """F13.5: one that an attacker has would take each address away from the port that has it."""
    port, other = world.port(lan), world.port(lan)
    learn(world, port, CHOSEN)
    claim(world, port, LINK_LOCAL)
    given = AddressRequest(address=OTHER_LINK_LOCAL)
    group = world.group(lan, port, wishes=(given,))
    host_has(world, CHOSEN, LINK_LOCAL, OTHER_LINK_LOCAL, OTHER)
    assert known(world, port) == {CHOSEN: True, LINK_LOCAL: False}
    for address, owner in ((CHOSEN, port), (LINK_LOCAL, port), (OTHER_LINK_LOCAL, group)):
        assert f"{address} of {owner.id}" in caplog.text
    assert str(OTHER) not in caplog.text
    assert claim(world, other, OTHER) == [True]
    world.delete_port(port)
    assert claim(world, other, CHOSEN) == []


def test_what_a_host_itself_has_is_no_ip_groups(world, lan) -> None:
    member = world.port(lan)
    host_has(world, LINK_LOCAL)
    with pytest.raises(AddressTakenError, match="host h1's own"):
        world.group(lan, member, wishes=(AddressRequest(address=LINK_LOCAL),))


@pytest.mark.parametrize(
    "address",
    [
        EUI64,
        ip_address("2001:db8::1"),
        ip_address("2001:db8::ffff:ffff:ffff"),
        ip_address("2001:db8::"),
        ip_address("2001:db8::fdff:ffff:ffff:ff80"),
        ip_address("2001:db8:0:1:a0b0::1"),
        ip_address("fe80:0:0:1:a0b0::1"),
        ip_address("192.0.2.77"),
        ip_address("ff02::a0b0:0:0:1"),
    ],
    ids=str,
)
def test_what_no_guest_chooses_is_refused(world, net, address) -> None:
    assert claim(world, world.port(net), address) == [False]


def test_a_host_speaks_for_its_own_ports_alone(world, net) -> None:
    port = world.port(net)
    claim(world, port, CHOSEN, host="h2")
    assert known(world, port) == {}
    claim(world, port, CHOSEN)
    conclude(world, port, CHOSEN, host="h2")
    assert known(world, port) == {CHOSEN: False}


def test_from_a_mac_of_the_port_alone(world, net) -> None:
    assert claim(world, world.port(net), CHOSEN, mac=Mac(b"\x02\0\0\0\0\x63")) == [False]


def test_one_link_local_address_for_each_mac(world, net) -> None:
    mac = Mac(b"\x02\0\0\0\0\x64")
    port = world.port(net, address_pairs=(AddressPair(ip_network("192.0.2.99/32"), mac),))
    learn(world, port, LINK_LOCAL)
    assert claim(world, port, OTHER_LINK_LOCAL) == [False]
    assert claim(world, port, OTHER_LINK_LOCAL, mac=mac) == []


def test_the_longest_unused_of_its_kind_makes_room(world) -> None:
    network = world.network(learned_limits=LearnedLimits(1, 2))
    world.subnet(network, PREFIX, ipv6_address_mode="slaac")
    port = world.port(network)
    for address in (LINK_LOCAL, CHOSEN, OTHER):
        learn(world, port, address)
    assert claim(world, port, THIRD) == [False]
    assert claim(world, port, THIRD, LINK_LOCAL, OTHER, CHOSEN) == []
    assert known(world, port) == {LINK_LOCAL: True, CHOSEN: True, THIRD: False}
    assert claim(world, world.port(network), OTHER) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"link_local": LinkLocal.EUI64},
        {"link_local": LinkLocal.NONE},
        {"learned_limits": LearnedLimits(0, 16)},
    ],
)
def test_a_network_that_learns_no_link_local_addresses_more_forgets_them(
    world, net, fields
) -> None:
    port = world.port(net)
    learn(world, port, LINK_LOCAL)
    learn(world, port, CHOSEN)
    with world.store.change() as change:
        networks.update_network(change, networks.get(change, net.id), fields)
    assert known(world, port) == {CHOSEN: True}
    assert claim(world, port, OTHER_LINK_LOCAL) == [False]


def test_a_network_that_learns_nothing_beside_link_local_addresses_forgets_the_others(
    world, net
) -> None:
    port = world.port(net)
    learn(world, port, LINK_LOCAL)
    learn(world, port, CHOSEN)
    world.set_network(net, learned_limits=LearnedLimits(1, 0))
    assert known(world, port) == {LINK_LOCAL: True}
    assert claim(world, port, OTHER) == [False]


def test_a_port_without_the_guard_learns_nothing(world, net) -> None:
    assert claim(world, world.port(net, profile=Profile.MAC), CHOSEN) == [False]


def test_what_was_learned_ends_with_its_port(world, net) -> None:
    port, other = world.port(net), world.port(net)
    learn(world, port, CHOSEN)
    with world.store.change() as change:
        stored = ports.get(change, port.id)
        ports.delete_port(change, stored, subnets.of_network(change, net.id))
    assert claim(world, other, CHOSEN) == []


def test_what_was_learned_ends_with_its_mac(world, net) -> None:
    port, other = world.port(net), world.port(net)
    learn(world, port, CHOSEN)
    with world.store.change() as change:
        ports.update_port(change, ports.get(change, port.id), {"mac": Mac(b"\x02\0\0\0\0\x65")})
    assert known(world, port) == {}
    assert claim(world, other, CHOSEN) == []


def test_what_the_model_gives_to_a_port_is_no_others_any_more(world, net) -> None:
    port, other = world.port(net), world.port(net)
    learn(world, port, CHOSEN)
    learn(world, port, OTHER)
    pair = AddressPair(ip_network(f"{CHOSEN}/128"))
    with world.store.change() as change:
        ports.update_port(change, ports.get(change, other.id), {"address_pairs": (pair,)})
    assert known(world, port) == {OTHER: True}
    world.port(net, address_pairs=(AddressPair(ip_network(f"{OTHER}/128")),))
    assert known(world, port) == {}


def test_an_ip_groups_link_local_address_is_its_members(world, net) -> None:
    port, member = world.port(net), world.port(net)
    learn(world, port, LINK_LOCAL)
    world.group(net, member, wishes=(AddressRequest(address=LINK_LOCAL),))
    assert known(world, port) == {}
    assert claim(world, port, LINK_LOCAL) == [True]


def test_a_gateway_is_no_ports_any_more(world, net) -> None:
    port = world.port(net)
    learn(world, port, CHOSEN)
    with world.store.change() as change:
        stored = next(
            each
            for each in subnets.read(change, subnets.subnets.c.network_id == net.id)
            if each.subnet.is_automatic
        )
        now = networks.get(change, net.id).network
        subnets.update_subnet(change, now, stored, {"gateway": CHOSEN})
    assert known(world, port) == {}


def test_released_an_address_is_nobodys(world, net) -> None:
    port, other = world.port(net), world.port(net)
    learn(world, port, CHOSEN)
    with world.store.change() as change:
        learned.release(change, net.id, ip_network(f"{CHOSEN}/128"))
    assert known(world, port) == {}
    assert claim(world, other, CHOSEN) == []


def test_members_of_a_group_hear_from_what_was_learned(world, net) -> None:
    group = world.security_group()
    world.rule(group, Rule(Direction.TO_GUEST, 6, remote=group.id))
    port = world.port(net, security_groups=frozenset({group.id}))

    def held():
        with world.store.read() as snapshot:
            content = address_sets.content(snapshot, [group.id]).get(group.id, frozenset())
        return {each.network_address for each in content} & {CHOSEN, LINK_LOCAL}

    learn(world, port, LINK_LOCAL)
    claim(world, port, CHOSEN)
    assert held() == set()
    conclude(world, port, CHOSEN)
    assert held() == {CHOSEN}
    with world.store.change() as change:
        ports.update_port(change, ports.get(change, port.id), {"security_groups": frozenset()})
    assert held() == set()


def test_members_of_a_group_hear_from_what_was_learned_and_then_listed(world, net) -> None:
    group = world.security_group()
    world.rule(group, Rule(Direction.TO_GUEST, 6, remote=group.id))
    port = world.port(net, security_groups=frozenset({group.id}))
    learn(world, port, CHOSEN)
    listed = ip_network(f"{CHOSEN}/128")
    world.set_port(port, address_pairs=(AddressPair(listed),))
    assert known(world, port) == {}
    with world.store.read() as snapshot:
        assert listed in address_sets.content(snapshot, [group.id])[group.id]


def test_a_port_that_asks_for_a_subnet_still_gets_its_eui64_address(world, net) -> None:
    port = world.port(net, AddressRequest(subnets_of(world, net)[1].id))
    assert [fixed.address for fixed in port.fixed_ips] == [
        ip_address(int(ip_network(PREFIX)[0]) | int(port.mac.link_local) & 2**64 - 1)
    ]


def subnets_of(world, net):
    with world.store.read() as snapshot:
        return subnets.of_network(snapshot, net.id)
