"""What a file declares, what there is, and the steps between: pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from vifguard.cli.apply.declaration import (
    DeclarationError,
    Declared,
    declared_objects,
    named_projects,
)
from vifguard.cli.apply.diff import Create, Delete, Step, Update, difference
from vifguard.cli.apply.execute import api_body
from vifguard.cli.apply.fields import CreatedReference, NamedReference
from vifguard.cli.apply.load import parse_document
from vifguard.cli.apply.prune import surplus
from vifguard.cli.apply.render import change_of, line_of
from vifguard.cli.apply.schema import NOUN_OF
from vifguard.cli.apply.separate_requests import MARK
from vifguard.client.resource import IP_GROUP, NETWORK, PORT, SUBNET

Item = dict[str, Any]


def key(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def network(number: int, name: str, project: str = "acme", **fields: Any) -> Item:
    shown = {
        "shared": False,
        "public": False,
        "mtu": 1500,
        "link_local": "learned",
        "learned_limits": {"link_local": 1, "others": 16},
        "admin_state_up": True,
        "port_security_enabled": True,
        "description": "",
        "guard_profile": None,
        "guards": None,
        "storm": {"rate": 1000, "burst": 1000},
        "provider:physical_network": None,
    }
    return {"id": key(number), "name": name, "project_id": project, **shown, **fields}


def subnet(number: int, name: str, of: int, cidr: str, **fields: Any) -> Item:
    shown = {
        "network_id": key(of),
        "cidr": cidr,
        "gateway_ip": None,
        "allocation_pools": [],
        "enable_dhcp": True,
        "dns_nameservers": [],
        "host_routes": [],
        "description": "",
        "ipv6_ra_mode": None,
        "ipv6_address_mode": None,
    }
    return {"id": key(number), "name": name, "project_id": "acme", **shown, **fields}


def port(number: int, name: str, of: int, **fields: Any) -> Item:
    shown = {
        "network_id": key(of),
        "mac_address": "02:00:00:00:00:01",
        "fixed_ips": [],
        "allowed_address_pairs": [],
        "roles": [],
        "ethertypes": [],
        "storm": None,
        "admin_state_up": True,
        "port_security_enabled": True,
        "description": "",
        "guard_profile": None,
        "guards": None,
        "device_id": "",
        "device_owner": "",
        "binding:host_id": "",
        "binding:profile": {},
        "binding:vnic_type": "normal",
    }
    return {"id": key(number), "name": name, "project_id": "acme", **shown, **fields}


def group(number: int, name: str, of: int, **fields: Any) -> Item:
    shown = {
        "network_id": key(of),
        "addresses": [],
        "members": [],
        "vrid4": None,
        "vrid6": None,
        "pinned_port_id": None,
        "max_moves_per_minute": None,
        "description": "",
    }
    return {"id": key(number), "name": name, "project_id": "acme", **shown, **fields}


def steps(
    text: str,
    networks: Sequence[Item] = (),
    subnets: Sequence[Item] = (),
    ports: Sequence[Item] = (),
    groups: Sequence[Item] = (),
    *,
    prune: bool = False,
) -> tuple[Step, ...]:
    present = dict.fromkeys(NOUN_OF, ()) | {
        NETWORK: networks,
        SUBNET: subnets,
        PORT: ports,
        IP_GROUP: groups,
    }
    document = parse_document(text)
    declared = declared_objects(document)
    found = difference(declared, present)
    if not prune:
        return found
    return (*found, *surplus(named_projects(document), declared, present, found)[0])


def problems(text: str, **present: Sequence[Item]) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        steps(text, **present)
    return caught.value.problems


def of_acme(**nouns: str) -> str:
    """A file of one project; each noun's entries as one line of flow YAML."""
    lines = [f"    {plural}: {{{entries}}}" for plural, entries in nouns.items()]
    return "\n".join(["projects:", "  acme:", *lines])


def test_nothing_declared_is_nothing_to_do() -> None:
    for text in ("", "projects:", "projects: {acme: }", "projects: {acme: {networks: }}"):
        assert steps(text, [network(1, "other")]) == ()


def test_what_is_not_there_is_created_in_the_order_of_dependence() -> None:
    text = of_acme(
        ip_groups="g: {network: n, members: [p], addresses: [{subnet: s}], pinned: p}",
        ports="p: {network: n, fixed_ips: [{subnet: s}]}",
        subnets="s: {network: n, cidr: 10.0.0.0/24}",
        networks="n: ",
    )
    found = steps(text)
    assert [(type(step), step.resource) for step in found] == [
        (Create, resource) for resource in (NETWORK, SUBNET, PORT, IP_GROUP)
    ]
    made_network, made_subnet, made_port = (
        CreatedReference(resource, "acme", name)
        for resource, name in ((NETWORK, "n"), (SUBNET, "s"), (PORT, "p"))
    )
    assert found[2].values == {"network": made_network, "fixed_ips": [{"subnet_id": made_subnet}]}
    assert found[3].values["members"] == [made_port]
    assert found[3].values["pinned"] == made_port
    ids = {made_network: key(1), made_subnet: key(2), made_port: key(3)}
    assert api_body(IP_GROUP, found[3].values, {}, ids) == {
        "network_id": key(1),
        "members": [key(3)],
        "pinned_port_id": key(3),
        "addresses": [{"subnet_id": key(2)}],
    }


def test_what_is_there_as_declared_needs_nothing_however_it_is_spelled() -> None:
    text = of_acme(
        networks="n: {mtu: 1400, guards: [ip], storm: {burst: 2, rate: 1}}",
        subnets="s: {network: n, cidr: 'FD00:0::1/64', dns_nameservers: ['fd00::0053']}",
        ports=(
            "p: {network: n, mac_address: 02:AA:00:00:00:01, roles: [dhcp-server],"
            " fixed_ips: [{subnet: s}, {ip_address: 'fd00:0:0::5'}], ethertypes: [2, 0x88b5],"
            " allowed_address_pairs: [{ip_address: 10.0.0.1/32}], interface: tap1, host: h}"
        ).replace("[2, 0x88b5]", "[0x88b6, 0x88b5]"),
        ip_groups="g: {network: n, members: [q, p], addresses: [{subnet: s}]}",
    )
    addresses = [
        {"subnet_id": key(2), "ip_address": "fd00::5"},
        {"subnet_id": key(2), "ip_address": "fd00::9"},
    ]
    pairs = [{"ip_address": "10.0.0.1", "mac_address": "02:aa:00:00:00:01"}]
    shown = port(
        3,
        "p",
        1,
        mac_address="02:aa:00:00:00:01",
        roles=["dhcp-server"],
        fixed_ips=addresses,
        ethertypes=[0x88B5, 0x88B6],
        allowed_address_pairs=pairs,
        **{"binding:profile": {"interface": "tap1", "theirs": 1}, "binding:host_id": "h"},
    )
    implied = ["ethertype", "mac", "arp", "nd", "ip"]
    assert not steps(
        text,
        [network(1, "n", mtu=1400, guards=implied, storm={"rate": 1, "burst": 2})],
        [subnet(2, "s", 1, "fd00::/64", dns_nameservers=["fd00::53"])],
        [shown, port(4, "q", 1)],
        [group(5, "g", 1, members=[key(3), key(4)], addresses=[addresses[0]])],
    )


def test_only_declared_fields_are_compared() -> None:
    there = network(1, "n", description="by hand", mtu=9000, guard_profile="mac")
    assert steps(of_acme(networks="n: {mtu: 9000}"), [there]) == ()


def test_what_differs_is_changed_and_nothing_else() -> None:
    there = network(1, "n", mtu=9000, description="old")
    (step,) = steps(of_acme(networks="n: {mtu: 1500, description: old}"), [there])
    assert isinstance(step, Update)
    assert (step.current, step.values) == (there, {"mtu": 1500})
    assert line_of(step) == "~ network acme/n (mtu: 9000 -> 1500)"
    assert change_of(step)["fields"] == {"mtu": {"from": 9000, "to": 1500}}


FIVE = {"fixed_ips": [{"subnet_id": key(2), "ip_address": "10.0.0.5"}]}
NINE = {"allowed_address_pairs": [{"ip_address": "10.9.0.0", "mac_address": "02:00:00:00:00:01"}]}


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("fixed_ips: []", FIVE),
        ("fixed_ips: [{subnet: s}, {subnet: s}]", FIVE),
        ("fixed_ips: [{ip_address: 10.0.0.6}]", FIVE),
        ("guards: []", {"guards": None}),
        ("guards: [mac]", {"guards": ["mac", "ethertype"]}),
        ("roles: []", {"roles": ["dhcp-server"]}),
        ("allowed_address_pairs: [{ip_address: 10.9.0.0, mac_address: 02:00:00:00:00:02}]", NINE),
        ("interface: tap2", {"binding:profile": {"interface": "tap1"}}),
        ("host: h2", {"binding:host_id": "h1"}),
        ("port_security_enabled: false", {}),
        ("storm: null", {"storm": {"rate": 0, "burst": 0}}),
    ],
)  # fmt: skip
def test_a_difference_in_any_field_is_seen(wanted: str, there: Mapping[str, Any]) -> None:
    (step,) = steps(
        of_acme(ports=f"p: {{network: {key(1)}, {wanted}}}"),
        [network(1, "n")],
        [subnet(2, "s", 1, "10.0.0.0/24")],
        [port(3, "p", 1, **there)],
    )
    assert isinstance(step, Update)
    assert wanted.partition(":")[0] in step.values


def test_choosing_a_profile_ends_a_choice_of_guards() -> None:
    (step,) = steps(of_acme(networks="n: {guard_profile: mac}"), [network(1, "n", guards=["mac"])])
    assert step.values == {"guard_profile": "mac", "guards": None}


@pytest.mark.parametrize(
    ("given", "interface"), [("tap2", {"interface": "tap2"}), ("null", {})], ids=["other", "none"]
)
def test_a_plug_keeps_what_a_hypervisor_wrote(given: str, interface: dict[str, str]) -> None:
    there = port(3, "p", 1, **{"binding:profile": {"theirs": 1, "interface": "tap1"}})
    text = of_acme(ports=f"p: {{network: n, interface: {given}}}")
    (step,) = steps(text, [network(1, "n")], [], [there])
    body = api_body(PORT, step.values, there, {})
    assert body == {"binding:profile": {"theirs": 1} | interface}
    assert not steps(text, [network(1, "n")], [], [there | body])


def test_a_physical_network_is_a_flat_one() -> None:
    (step,) = steps(of_acme(networks="n: {shared: true, physical_network: physnet1}"))
    assert api_body(NETWORK, step.values, {}, {}) == {
        "shared": True,
        "provider:physical_network": "physnet1",
        "provider:network_type": "flat",
    }


SHARED = """
projects:
  ops:
    networks: {lan: {shared: true}}
    subnets: {s: {network: lan, cidr: 10.0.0.0/24}}
  acme:
    ports: {p: {network: lan, fixed_ips: [{subnet: s}]}}
"""


def test_a_shared_network_of_another_project_is_found_declared_or_there() -> None:
    assert [str(step) for step in steps(SHARED)] == [
        "network ops/lan",
        "subnet ops/s",
        "port acme/p",
    ]
    there = network(1, "lan", "ops", shared=True)
    lan = steps(SHARED, [there])[1]
    assert lan.values["network"] == key(1)
    hidden = SHARED.replace("shared: true", "shared: false")
    assert any("there is no network 'lan'" in line for line in problems(hidden))


def test_a_projects_own_network_comes_before_a_shared_one() -> None:
    present = [network(1, "lan", "ops", shared=True), network(2, "lan")]
    (step,) = steps(of_acme(ports="p: {network: lan}"), present)
    assert step.values["network"] == key(2)


def test_a_subnet_is_one_of_the_ports_own_network() -> None:
    text = of_acme(
        networks="n: ",
        subnets="s: {network: n, cidr: 10.0.0.0/24}",
        ports="p: {network: other, fixed_ips: [{subnet: s}]}",
    )
    assert problems(text, networks=[network(1, "other")]) == [
        "port acme/p: its network has no subnet 's': declare it there"
    ]


@pytest.mark.parametrize(
    ("nouns", "words"),
    [
        ({"networks": "n: {colour: red}"}, "projects.acme.networks.n: 'colour' is unknown"),
        ({"networks": "n: 5"}, "projects.acme.networks.n: 5 is not a mapping"),
        ({"networks": "n: {mtu: huge}"}, "projects.acme.networks.n.mtu: 'huge'"),
        ({"networks": "n: {mtu: 67}"}, "67"),
        ({"networks": "n: {guards: [fire]}"}, "'fire'"),
        ({"networks": "n: {guards: [mac], guard_profile: mac}"}, "not both"),
        ({"networks": "n: {storm: {rate: 1}}"}, "burst"),
        ({"networks": "'': "}, "must not be empty"),
        ({"networks": '"a\\nb": '}, "'a\\nb'"),
        ({"networks": f"{'n' * 256}: "}, "255"),
        ({"subnets": "s: {cidr: 10.0.0.0/24}"}, "projects.acme.subnets.s: network is missing"),
        ({"subnets": "s: {network: n}"}, "cidr is missing"),
        ({"subnets": "s: {network: n, cidr: 10.0.0.0/0.0.0.255}"}, "0.0.0.255"),
        ({"subnets": "s: {network: 5, cidr: 10.0.0.0/24}"}, "5"),
        ({"ports": "p: {network: n, mac_address: 01:00:00:00:00:01}"}, "01:00:00:00:00:01"),
        ({"ports": "p: {network: n, mac_address: 00:00:00:00:00:00}"}, "00:00:00:00:00:00"),
        ({"ports": "p: {network: n, fixed_ips: [{ip_address: 10.1}]}"}, "10.1"),
        ({"ports": "p: {network: n, fixed_ips: [{}]}"}, "fixed_ips"),
        ({"ports": "p: {network: n, fixed_ips: [{ip_address: 224.0.0.1}]}"}, "224.0.0.1"),
        ({"ports": "p: {network: n, fixed_ips: [{ip_address: '::ffff:10.0.0.5'}]}"}, "IPv4-mapped"),
        ({"ports": "p: {network: n, fixed_ips: {subnet: s}}"}, "not a list"),
        ({"ports": "p: {network: n, allowed_address_pairs: [{ip_address: '::/0'}]}"}, "::/0"),
        ({"ports": "p: {network: n, interface: 'a b'}"}, "'a b'"),
        ({"ports": "p: {network: n, roles: [king]}"}, "'king'"),
        ({"ip_groups": "g: {network: n, vrid4: 0}"}, "0 is not from 1 to 255"),
        ({"ip_groups": "g: {network: n, members: [p, p]}"}, "duplicate"),
        ({"routers": "r: "}, "'routers' is unknown"),
    ],
)
def test_a_bad_value_is_named_with_its_place(nouns: dict[str, str], words: str) -> None:
    found = problems(of_acme(**nouns), networks=[network(1, "n")])
    assert any(words in line for line in found), found
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("text", ["[]", "5", "networks: {}", "projects: []", "projects: {'a b': }"])
def test_a_document_of_another_shape_is_refused(text: str) -> None:
    assert problems(text)


def test_every_mistake_is_told_at_once() -> None:
    text = of_acme(networks="n: {mtu: 1, colour: red}", ports="p: {mac_address: x}")
    assert len(problems(text)) == 4


def test_each_bad_item_of_a_list_is_told_with_its_place() -> None:
    rule = "{direction: ingress, protocol: tcp}"
    bad = "{direction: sideways}"
    found = problems(of_acme(security_groups=f"g: {{rules: [{rule}, {bad}, 5, {bad}]}}"))
    places = [line.partition(": ")[0] for line in found]
    assert places == [f"projects.acme.security_groups.g.rules[{place}]" for place in (1, 2, 3)]
    (twice,) = problems(of_acme(security_groups=f"g: {{rules: [{rule}, {rule}]}}"))
    assert "rules: [1] means the same as [0]" in twice


def test_a_reference_is_told_by_its_name() -> None:
    there = port(3, "p", 1, security_groups=[key(7)])
    named = {key(7): "web", key(1): "n"}
    step = Update(PORT, "acme", "p", there, {"security_groups": [key(7), key(1)]})
    assert line_of(step, named) == "~ port acme/p (security_groups: [web] -> [web, n])"


@pytest.mark.parametrize(
    ("nouns", "words"),
    [
        ({"ports": "p: {network: none}"}, "there is no network 'none'"),
        ({"ip_groups": "g: {network: n, members: [none]}"}, "there is no port 'none'"),
        ({"ip_groups": "g: {network: n, pinned: none}"}, "there is no port 'none'"),
        ({"ports": "p: {network: n, fixed_ips: [{subnet: none}]}"}, "has no subnet 'none'"),
        ({"ports": f"p: {{network: {key(9)}}}"}, "there is no network"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(nouns: dict[str, str], words: str) -> None:
    assert any(words in line for line in problems(of_acme(**nouns), networks=[network(1, "n")]))


@pytest.mark.parametrize(
    ("nouns", "words"),
    [
        ({"ports": "p: {network: none}"}, "port acme/p: there is no network 'none'"),
        ({"ports": "p: {network: n, security_groups: [web]}"}, "no security-group 'web'"),
        ({"ports": "p: {network: n, fixed_ips: [{subnet: none}]}"}, "has no subnet 'none'"),
        ({"ports": "p: {network: none, fixed_ips: [{subnet: s}]}"}, "there is no network 'none'"),
        ({"subnets": "s: {network: none, cidr: 10.0.0.0/24}"}, "there is no network 'none'"),
        (
            {"subnets": "s: {network: n, cidr: 10.0.0.0/24, subnet_pool: none}"},
            "no subnet-pool 'none'",
        ),
        ({"ip_groups": "g: {network: n, members: [none]}"}, "there is no port 'none'"),
        ({"ip_groups": "g: {network: n, pinned: none}"}, "there is no port 'none'"),
        ({"ip_groups": "g: {network: none}"}, "there is no network 'none'"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_of_an_object_that_is_there(
    nouns: dict[str, str], words: str
) -> None:
    there = {
        "networks": [network(1, "n")],
        "subnets": [subnet(2, "s", 1, "10.0.0.0/24", subnetpool_id=None)],
        "ports": [port(3, "p", 1, security_groups=[])],
        "groups": [group(4, "g", 1)],
    }
    (found,) = problems(of_acme(**nouns), **there)
    assert words in found


def test_a_name_that_two_bear_is_refused() -> None:
    twins = [network(1, "n"), network(2, "n")]
    assert any(key(2) in line for line in problems(of_acme(networks="n: "), networks=twins))
    found = problems(of_acme(ports="p: {network: n}"), networks=twins)
    assert found == ["port acme/p: network 'n' could be any of 2: give its id"]
    (step,) = steps(of_acme(ports=f"p: {{network: {key(2)}}}"), twins)
    assert step.values["network"] == key(2)


def test_what_cannot_change_is_refused_and_says_what_to_do() -> None:
    there = {
        "networks": [network(1, "n"), network(2, "m")],
        "subnets": [subnet(3, "s", 1, "10.0.0.0/24")],
    }
    text = of_acme(subnets="s: {network: m, cidr: 10.0.1.0/24}")
    found = problems(text, **there)
    assert len(found) == 2
    assert "cidr is 10.0.0.0/24 and cannot become 10.0.1.0/24: delete the subnet first" in found[1]


def test_pruning_deletes_what_a_file_made_dependents_first_and_only_of_declared_projects() -> None:
    text = of_acme(networks="n: ")
    present = (
        [
            network(1, "n", tags=[MARK]),
            network(2, "old", tags=["a", MARK]),
            network(3, "theirs", "zeta", tags=[MARK]),
            network(7, "by hand", tags=["a"]),
        ],
        [subnet(4, "s", 2, "10.0.0.0/24", tags=[MARK])],
        [port(5, "", 2, tags=[MARK]), port(8, "a hypervisor's", 1, tags=[])],
        [group(6, "g", 2, tags=[MARK])],
    )
    assert steps(text, *present) == ()
    found = steps(text, *present, prune=True)
    assert all(isinstance(step, Delete) for step in found)
    assert [line_of(step) for step in found] == [
        "- ip-group acme/g",
        f"- port acme/{key(5)}",
        "- subnet acme/s",
        "- network acme/old",
    ]


@pytest.mark.parametrize("nouns", ["{networks: {}}", "{networks: }", "{}", ""])
def test_a_project_is_pruned_of_the_last_that_a_file_declared_there(nouns: str) -> None:
    present = [network(1, "n", tags=[MARK]), network(2, "n", "zeta", tags=[MARK])]
    found = steps(f"projects: {{acme: {nouns}}}", present, prune=True)
    assert [line_of(step) for step in found] == ["- network acme/n"]
    assert steps("projects: {}", present, prune=True) == ()


def test_declared_values_are_the_apis_with_references_for_names() -> None:
    (one,) = declared_objects(
        parse_document(of_acme(ports="p: {network: n, mac_address: 02:AA:00:00:00:01}"))
    )
    assert one == Declared(
        PORT,
        "acme",
        "p",
        {"network": NamedReference(NETWORK, "n"), "mac_address": "02:AA:00:00:00:01"},
    )
