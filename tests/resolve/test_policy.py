"""What must hold for a port: defaults, choices, IP groups; and that narrowing is only that."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vifguard.model.address import Mac
from vifguard.model.guard import GUARDS_OF, Guard, LinkLocal, Profile
from vifguard.model.intent import Intent, Ranges
from vifguard.model.ip_group import IpGroup
from vifguard.model.learned import LearnedAddress, LearnedLimits
from vifguard.model.network import Network, Subnet
from vifguard.model.port import AddressPair, FixedIp, Port
from vifguard.model.security_group import SecurityGroup
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import ethernet, ipv4, udp
from vifguard.resolve.affected import (
    AffectedPorts,
    AllPorts,
    PortsInGroup,
    PortsOnNetwork,
    ThesePorts,
    affected_by_ip_group,
    affected_by_network,
    affected_by_security_group,
    affected_by_subnet,
)
from vifguard.resolve.policy import effective_security_groups, resolve
from vifguard.semantics.verdict import verdict

MAC = Mac.parse("02:00:00:00:00:01")
SHARED = Network("n-shared", "operator", shared=True)
OWN = Network("n-own", "blue")
ADDRESSED = Port("p", "n-shared", "blue", MAC, fixed_ips=(FixedIp("s", ip_address("10.0.0.5")),))


def policy_of(
    port,
    *,
    networks=(SHARED, OWN),
    groups=(),
    shared=None,
    security_groups=(),
    automatic=(),
    **said,
):
    """The policy of a port; `said` changes fields of its network."""
    ranges = Ranges.of((), shared or {}, {port.network_id: automatic})
    networks = [replace(each, **said) for each in networks]
    return resolve(Intent.of(1, networks, [port], groups, ranges, security_groups), port)


def test_shared_is_strict() -> None:
    assert policy_of(ADDRESSED).guards == GUARDS_OF[Profile.STRICT]


def test_isolated_with_our_addresses_is_strict() -> None:
    assert policy_of(replace(ADDRESSED, network_id="n-own")).guards == GUARDS_OF[Profile.STRICT]


def test_isolated_without_addresses_is_mac() -> None:
    port = Port("p", "n-own", "blue", MAC)
    assert policy_of(port).guards == GUARDS_OF[Profile.MAC]


def test_port_security_off_means_off_whatever_else_is_said() -> None:
    port = replace(ADDRESSED, port_security_enabled=False, profile=Profile.STRICT)
    assert policy_of(port).guards == frozenset()


def test_the_port_chooses_before_its_network() -> None:
    network = replace(SHARED, profile=Profile.MAC)
    assert policy_of(ADDRESSED, networks=[network]).guards == GUARDS_OF[Profile.MAC]
    port = replace(ADDRESSED, profile=Profile.ROUTER)
    assert policy_of(port, networks=[network]).guards == GUARDS_OF[Profile.ROUTER]


RANGES = {"n-shared": frozenset({ip_network("10.0.0.0/24")})}


def test_a_router_on_a_shared_network_sends_with_no_neighbours_address() -> None:
    policy = policy_of(replace(ADDRESSED, profile=Profile.ROUTER), shared=RANGES)
    seen = {
        source: verdict(
            policy,
            Direction.FROM_GUEST,
            ethernet(str(MAC), "02:00:00:00:00:99", ipv4(source, "192.0.2.1", udp(7, 7))),
        ).reason
        for source in ("10.0.0.5", "10.0.0.6", "172.16.0.6")
    }
    assert seen == {"10.0.0.5": None, "10.0.0.6": Reason.PUBLIC_SOURCE, "172.16.0.6": None}


def test_a_range_of_a_shared_network_is_a_projects_own_elsewhere() -> None:
    port = replace(ADDRESSED, network_id="n-own", profile=Profile.ROUTER)
    assert policy_of(port, shared=RANGES).public == frozenset()


def test_an_ip_guard_is_never_hollow() -> None:
    port = replace(ADDRESSED, guards=frozenset({Guard.IP}))
    assert policy_of(port).guards >= {Guard.ARP, Guard.ND, Guard.MAC, Guard.ETHERTYPE}


def test_no_guard_is_a_choice_and_not_the_default() -> None:
    assert policy_of(replace(ADDRESSED, guards=frozenset())).guards == frozenset()


def test_law_1_empty_is_never_any() -> None:
    policy = policy_of(replace(ADDRESSED, fixed_ips=()))
    assert policy.prefixes == frozenset()
    assert not policy.owns(ip_address("10.0.0.5"))
    assert not policy.owns(ip_address("0.0.0.0"))


def test_a_ports_eui64_link_local_address_is_its_own_with_and_without_ipv6_addresses() -> None:
    dual = replace(ADDRESSED, fixed_ips=(FixedIp("s6", ip_address("fd00::5")),))
    for port in (ADDRESSED, dual):
        assert policy_of(port).owns(MAC.link_local)
        assert not policy_of(port).owns(ip_address("fe80::1"))
        assert not policy_of(port, link_local=LinkLocal.NONE).owns(MAC.link_local)


AUTOMATIC = ip_network("2001:db8::/64")
CHOSEN, TENTATIVE = ip_address("2001:db8::a0b0:1:2:3"), ip_address("fe80::a0b0:1:2:4")
CLAIMER = replace(
    ADDRESSED,
    learned=(LearnedAddress(CHOSEN, MAC, proven=True), LearnedAddress(TENTATIVE, MAC)),
)


def test_what_a_port_may_claim_and_what_it_has_learned() -> None:
    policy = policy_of(CLAIMER, automatic=[AUTOMATIC])
    assert policy.claimable == {AUTOMATIC, ip_network("fe80::/64")}
    assert policy.learned == {CHOSEN}
    assert policy.tentative == {TENTATIVE}
    assert policy.owns(CHOSEN)
    assert not policy.owns(TENTATIVE)


@pytest.mark.parametrize(
    ("fields", "claimable"),
    [
        ({"link_local": LinkLocal.EUI64}, {AUTOMATIC}),
        ({"link_local": LinkLocal.ANY}, {AUTOMATIC}),
        ({"link_local": LinkLocal.NONE}, {AUTOMATIC}),
        ({"learned_limits": LearnedLimits(0, 16)}, {AUTOMATIC}),
        ({"learned_limits": LearnedLimits(1, 0)}, {ip_network("fe80::/64")}),
        ({"profile": Profile.MAC}, set()),
    ],
)
def test_what_may_not_be_claimed_any_more_is_not_the_ports(fields, claimable) -> None:
    policy = policy_of(CLAIMER, automatic=[AUTOMATIC], **fields)
    assert policy.claimable == claimable
    assert policy.learned == ({CHOSEN} if AUTOMATIC in claimable else set())
    assert policy.tentative == (set() if AUTOMATIC in claimable or not claimable else {TENTATIVE})


def test_what_was_learned_from_a_mac_goes_with_it() -> None:
    policy = policy_of(replace(CLAIMER, mac=Mac(b"\x02\0\0\0\0\x09")), automatic=[AUTOMATIC])
    assert not policy.learned | policy.tentative


def test_a_dangling_network_closes_the_port() -> None:
    policy = policy_of(replace(ADDRESSED, network_id="gone"))
    assert "gone" in policy.closed


def test_a_pair_adds_its_mac_and_prefix() -> None:
    virtual = Mac.parse("02:00:00:00:00:99")
    pair = AddressPair(ip_network("10.0.1.0/24"), virtual)
    policy = policy_of(replace(ADDRESSED, address_pairs=(pair,)))
    assert policy.owns(ip_address("10.0.1.77"))
    assert policy.macs == {MAC, virtual}


GROUP = IpGroup(
    "g",
    "blue",
    "n-shared",
    addresses=(ip_address("10.0.0.100"), ip_address("fd00::100")),
    members=frozenset({"p", "q"}),
    vrid4=7,
)


def test_every_member_may_hold_the_address_and_is_watched() -> None:
    policy = policy_of(ADDRESSED, groups=[GROUP])
    assert policy.owns(ip_address("10.0.0.100"))
    assert policy.watched == set(GROUP.addresses)
    assert Mac.parse("00:00:5e:00:01:07") in policy.macs


def test_a_pinned_address_belongs_to_its_holder_alone() -> None:
    pinned = replace(GROUP, pinned="q")
    assert not policy_of(ADDRESSED, groups=[pinned]).owns(ip_address("10.0.0.100"))
    assert Mac.parse("00:00:5e:00:01:07") not in policy_of(ADDRESSED, groups=[pinned]).macs
    assert policy_of(replace(ADDRESSED, id="q"), groups=[pinned]).owns(ip_address("10.0.0.100"))


def test_nobody_else_may_answer_for_it() -> None:
    assert not policy_of(replace(ADDRESSED, id="r"), groups=[GROUP]).owns(ip_address("10.0.0.100"))


def vrids_of(port, *groups) -> tuple[frozenset[int], frozenset[int]]:
    ids = [group.router_ids for group in groups]
    intent = Intent.of(1, [SHARED, OWN], [port], groups, router_ids=ids)
    policy = resolve(intent, port)
    return policy.foreign_vrids4, policy.foreign_vrids6


def test_a_router_id_of_a_group_is_foreign_to_who_may_not_hold_its_addresses() -> None:
    stranger = replace(ADDRESSED, id="r")
    assert vrids_of(ADDRESSED, GROUP) == (set(), set())
    assert vrids_of(stranger, GROUP) == ({7}, set())
    assert vrids_of(stranger, replace(GROUP, vrid4=None, vrid6=9)) == (set(), {9})
    assert vrids_of(ADDRESSED, replace(GROUP, pinned="q")) == ({7}, set())
    assert vrids_of(stranger, replace(GROUP, network_id="n-own")) == (set(), set())
    unjudged = replace(stranger, guards=frozenset({Guard.IP}))
    assert vrids_of(unjudged, GROUP) == (set(), set())


def test_carp_has_one_virtual_mac_for_both_families() -> None:
    six = replace(GROUP, vrid4=None, vrid6=9)
    macs = policy_of(ADDRESSED, groups=[six]).macs
    assert macs >= {Mac.parse("00:00:5e:00:01:09"), Mac.parse("00:00:5e:00:02:09")}


def test_the_virtual_mac_of_anothers_id_does_not_come_with_ones_own_of_ipv6() -> None:
    six = replace(GROUP, vrid4=None, vrid6=9)
    four = IpGroup("other", "blue", "n-shared", members=frozenset({"q"}), vrid4=9)
    intent = Intent.of(
        1, [SHARED], [ADDRESSED], [six, four], router_ids=[six.router_ids, four.router_ids]
    )
    macs = resolve(intent, ADDRESSED).macs
    assert Mac.parse("00:00:5e:00:02:09") in macs
    assert Mac.parse("00:00:5e:00:01:09") not in macs


WEB = SecurityGroup("g-web", "blue")
BULK = SecurityGroup("g-bulk", "blue", stateful=False)


def in_groups(*groups: SecurityGroup, **fields) -> Port:
    return replace(ADDRESSED, security_groups=frozenset(g.id for g in groups), **fields)


def test_a_port_that_groups_do_not_filter_has_no_such_guard() -> None:
    assert Guard.SECURITY_GROUPS not in policy_of(ADDRESSED).guards


def test_groups_are_a_guard_whatever_the_profile_and_bring_theirs_along() -> None:
    assert policy_of(in_groups(WEB), security_groups=[WEB]).guards == (
        GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}
    )
    policy = policy_of(in_groups(WEB, profile=Profile.OFF), security_groups=[WEB])
    assert policy.guards == {Guard.ETHERTYPE, Guard.MAC, Guard.SECURITY_GROUPS}
    assert policy.security_groups == {WEB.id}
    assert policy.stateful


def test_law_1_no_group_at_all_is_a_guard_that_lets_nothing_pass() -> None:
    policy = policy_of(in_groups())
    assert Guard.SECURITY_GROUPS in policy.guards
    assert policy.security_groups == frozenset()


def test_without_port_security_no_group_filters() -> None:
    policy = policy_of(in_groups(WEB, port_security_enabled=False), security_groups=[WEB])
    assert policy.guards == frozenset()
    assert policy.security_groups == frozenset()
    assert not policy.closed


def test_a_port_is_stateful_as_its_groups_are() -> None:
    assert not policy_of(in_groups(BULK), security_groups=[BULK]).stateful
    assert "stateless" in policy_of(in_groups(WEB, BULK), security_groups=[WEB, BULK]).closed


def test_a_port_tells_whom_it_refuses_if_one_of_its_groups_does() -> None:
    polite = replace(WEB, id="g-polite", reject=True)
    assert policy_of(in_groups(WEB, polite), security_groups=[WEB, polite]).reject
    assert not policy_of(in_groups(WEB), security_groups=[WEB, polite]).reject


def test_a_dangling_group_closes_the_port() -> None:
    assert WEB.id in policy_of(in_groups(WEB, BULK), security_groups=[BULK]).closed


ports = st.builds(
    Port,
    id=st.sampled_from(["p", "q", "r"]),
    network_id=st.sampled_from(["a", "b"]),
    project_id=st.just("blue"),
    mac=st.just(MAC),
    fixed_ips=st.sampled_from([(), (FixedIp("s", ip_address("10.0.0.5")),)]),
    profile=st.sampled_from([None, *Profile]),
    admin_state_up=st.booleans(),
    port_security_enabled=st.booleans(),
    security_groups=st.none() | st.frozensets(st.sampled_from(["web", "bulk"])),
)
security_groups = st.builds(
    SecurityGroup,
    id=st.sampled_from(["web", "bulk"]),
    project_id=st.just("blue"),
    name=st.sampled_from(["", "x"]),
    stateful=st.booleans(),
    reject=st.booleans(),
)
networks = st.builds(
    Network,
    id=st.sampled_from(["a", "b"]),
    project_id=st.just("blue"),
    shared=st.booleans(),
    public=st.booleans(),
    profile=st.sampled_from([None, *Profile]),
    admin_state_up=st.booleans(),
)
subnets = st.builds(
    Subnet,
    id=st.sampled_from(["s", "t"]),
    network_id=st.sampled_from(["a", "b"]),
    project_id=st.just("blue"),
    cidr=st.sampled_from([ip_network("10.0.0.0/24"), ip_network("fd00::/64")]),
    ipv6_address_mode=st.sampled_from([None, "slaac", "dhcpv6-stateless", "dhcpv6-stateful"]),
)
groups = st.builds(
    IpGroup,
    id=st.sampled_from(["g", "h"]),
    project_id=st.just("blue"),
    network_id=st.just("a"),
    addresses=st.just((ip_address("10.0.0.100"),)),
    members=st.frozensets(st.sampled_from(["p", "q", "r"])),
    pinned=st.sampled_from([None, "p"]),
    vrid4=st.sampled_from([None, 1, 2]),
    vrid6=st.sampled_from([None, 1]),
)


def nouns(strategy):
    return st.lists(strategy, unique_by=lambda noun: noun.id).map(
        lambda found: {noun.id: noun for noun in found}
    )


worlds = st.fixed_dictionaries(
    {"ports": nouns(ports), "networks": nouns(networks), "subnets": nouns(subnets)}
    | {"groups": nouns(groups), "security_groups": nouns(security_groups)}
)


def intent_of(world) -> Intent:
    public = frozenset(
        subnet.cidr
        for subnet in world["subnets"].values()
        if (network := world["networks"].get(subnet.network_id)) and network.public
    )
    shared = {
        network.id: frozenset(
            subnet.cidr for subnet in world["subnets"].values() if subnet.network_id == network.id
        )
        for network in world["networks"].values()
        if network.shared
    }
    automatic = {
        network_id: frozenset(
            subnet.cidr
            for subnet in world["subnets"].values()
            if subnet.network_id == network_id and subnet.is_automatic
        )
        for network_id in world["networks"]
    }
    nouns = (world[kind].values() for kind in ("networks", "ports"))
    # The API makes members of the network's own ports alone.
    on = {port.id: port.network_id for port in world["ports"].values()}
    groups = [
        replace(group, members=frozenset(m for m in group.members if on.get(m) == group.network_id))
        for group in world["groups"].values()
    ]
    return Intent.of(
        1,
        *nouns,
        groups,
        Ranges.of(public, shared, automatic),
        world["security_groups"].values(),
        router_ids=[group.router_ids for group in groups],
    )


def named(touched: AffectedPorts, world) -> set[str]:
    if isinstance(touched, AllPorts):
        return set(world["ports"])
    if isinstance(touched, PortsOnNetwork):
        return {p.id for p in world["ports"].values() if p.network_id == touched.network_id}
    if isinstance(touched, PortsInGroup):
        return {
            p.id
            for p in world["ports"].values()
            if touched.group_id in effective_security_groups(p)
        }
    return set(touched.ids)


def touched(kind: str, world, before, after) -> AffectedPorts:
    match kind:
        case "ports":
            return ThesePorts(frozenset(each.id for each in (before, after) if each))
        case "networks":
            return affected_by_network(before, after)
        case "groups":
            return affected_by_ip_group(before, after)
        case "security_groups":
            return affected_by_security_group(before, after)
        case _:
            network = world["networks"].get((after or before).network_id)
            return affected_by_subnet(network or OWN, before, after)


KINDS = ["ports", "networks", "subnets", "groups", "security_groups"]


@given(worlds, worlds, st.sampled_from(KINDS), st.data())
def test_narrowing_never_changes_the_meaning(world, other, kind, data) -> None:
    key = data.draw(st.sampled_from(sorted({*world[kind], *other[kind]}) or ["none"]))
    before, after = world[kind].get(key), other[kind].get(key)
    if before is None and after is None:
        return
    if kind == "subnets" and before and after and before.network_id != after.network_id:
        after = replace(after, network_id=before.network_id)  # a subnet never moves
    changed = {**world, kind: {**world[kind], key: after}}
    if after is None:
        del changed[kind][key]
    old, new = intent_of(world), intent_of(changed)
    moved = {
        port_id
        for port_id in {*old.ports, *new.ports}
        if (was := old.ports.get(port_id)) is None
        or (now := new.ports.get(port_id)) is None
        or resolve(old, was) != resolve(new, now)
    }
    assert moved <= named(touched(kind, world, before, after), changed) | named(
        touched(kind, world, before, after), world
    )
