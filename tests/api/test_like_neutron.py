"""What ordinary clients of Neutron send, answered as Neutron answers it."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.cloud import Cloud, User, refusal

from vifguard.api.app import Application
from vifguard.api.settings import Settings


@pytest.fixture
def held(cloud: Cloud) -> Cloud:
    """A cloud whose host can hold security groups."""
    cloud.has_host(groups=True)
    return cloud


def subnet_of(user: User, network: dict[str, Any], cidr: str, **fields: Any) -> dict[str, Any]:
    version = 6 if ":" in cidr else 4
    return user.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version, **fields)


def slaac(user: User, network: dict[str, Any], cidr: str) -> dict[str, Any]:
    return subnet_of(user, network, cidr, ipv6_address_mode="slaac", ipv6_ra_mode="slaac")


def addresses(port: dict[str, Any]) -> list[str]:
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


class TestBodies:
    def test_a_body_without_a_type_is_json_where_no_page_could_send_it(self, cloud: Cloud) -> None:
        """N2: PUT was 415."""
        network = cloud.admin.make("network", shared=True)
        body = b'{"network": {"name": "x"}}'
        answer = cloud.admin.call("PUT", f"networks/{network['id']}", content=body)
        assert (answer.status_code, answer.json()["network"]["name"]) == (200, "x")
        assert cloud.admin.call("POST", "networks", content=body).status_code == 415
        # A page's form sends no such header, and no page sends it unasked.
        answer = cloud.admin.call(
            "POST", "networks", content=body, headers={"X-Auth-Token": "notused"}
        )
        assert answer.status_code != 415

    def test_objects_of_a_bulk_may_be_wrapped(self, cloud: Cloud) -> None:
        """N12."""
        body = {"networks": [{"network": {"name": "a"}}, {"name": "b"}]}
        answer = cloud.admin.call("POST", "networks", body)
        assert answer.status_code == 201, answer.text
        assert [each["name"] for each in answer.json()["networks"]] == ["a", "b"]

    def test_another_project_is_a_bad_value_to_a_member(self, cloud: Cloud) -> None:
        """N11: it was 403."""
        cloud.has_host()
        assert cloud.alice.refused("network", project_id="p2")[:2] == (400, "HTTPBadRequest")

    def test_null_where_neutron_takes_it(self, held: Cloud) -> None:
        """A3.4."""
        network = held.alice.network("10.0.0.0/24")
        port = held.alice.make(
            "port", network_id=network["id"], security_groups=None, allowed_address_pairs=None
        )
        assert port["allowed_address_pairs"] == []
        (group,) = port["security_groups"]
        again = held.alice.make("port", network_id=network["id"], security_groups=[group, group])
        assert again["security_groups"] == [group]


class TestHostBits:
    """N3, C16: what follows the prefix length is masked, or kept as its owner wrote it."""

    def test_of_ranges_are_masked(self, held: Cloud) -> None:
        network = held.admin.make("network", shared=True)
        assert subnet_of(held.admin, network, "10.1.2.3/24")["cidr"] == "10.1.2.0/24"
        assert subnet_of(held.admin, network, "2001:db8::5/64")["cidr"] == "2001:db8::/64"
        pool = held.alice.make("subnetpool", name="p", prefixes=["10.9.8.7/16"])
        assert pool["prefixes"] == ["10.9.0.0/16"]
        group = held.alice.make("address_group", addresses=["10.1.2.3/24"])
        assert group["addresses"] == ["10.1.2.0/24"]

    @pytest.mark.parametrize(
        ("sent", "shown", "network"),
        [
            ("10.1.2.3/24", "10.1.2.3/24", "10.1.2.0/24"),
            ("10.1.2.0/24", "10.1.2.0/24", "10.1.2.0/24"),
            ("10.1.2.3", "10.1.2.3/32", "10.1.2.3/32"),
            ("2001:DB8::1/64", "2001:db8::1/64", "2001:db8::/64"),
            ("", None, None),
        ],
    )
    def test_a_rule_keeps_them_and_tells_the_network(
        self, held: Cloud, sent: str, shown: str | None, network: str | None
    ) -> None:
        group = held.alice.make("security_group", name="g")
        kind = "IPv6" if ":" in sent else "IPv4"
        fields = {"direction": "ingress", "ethertype": kind, "remote_ip_prefix": sent}
        rule = held.alice.make("security_group_rule", security_group_id=group["id"], **fields)
        assert (rule["remote_ip_prefix"], rule["normalized_cidr"]) == (shown, network)
        kept = held.alice.get(f"security-group-rules/{rule['id']}")["security_group_rule"]
        assert kept == rule

    def test_an_address_pair_is_shown_as_it_was_written(self, held: Cloud) -> None:
        """C18: another spelling is a change to make, for ever, to Terraform and Ansible."""
        network = held.alice.network("10.0.0.0/24")
        pairs = [
            {"ip_address": "10.0.0.5/32", "mac_address": "FA:16:3E:00:00:0A"},
            {"ip_address": "2001:DB8::5"},
            {"ip_address": "2001:db8::/64"},
            {"ip_address": "10.0.0.5/24"},
        ]
        port = held.alice.make("port", network_id=network["id"], allowed_address_pairs=pairs)
        wanted = [{"mac_address": port["mac_address"]} | pair for pair in pairs]
        assert port["allowed_address_pairs"] == wanted
        kept = held.alice.get(f"ports/{port['id']}")["port"]
        assert kept["allowed_address_pairs"] == wanted
        pairs[0] = {"ip_address": "10.0.0.5", "mac_address": "fa:16:3e:00:00:0a"}
        again = held.alice.change("port", port["id"], allowed_address_pairs=pairs)
        assert again["allowed_address_pairs"][0] == pairs[0]
        # What the hosts hold is the same: the port does not wait for them.
        assert again["policy_revision"] == port["policy_revision"]


class TestNetworks:
    def test_a_network_has_another_revision_with_other_subnets(self, cloud: Cloud) -> None:
        """N17."""

        def revision() -> int:
            shown = cloud.admin.get(f"networks/{network['id']}")["network"]
            return int(shown["revision_number"])

        network = cloud.admin.make("network", shared=True)
        first = revision()
        subnet = subnet_of(cloud.admin, network, "10.0.0.0/24")
        assert (second := revision()) > first
        cloud.admin.call("DELETE", f"subnets/{subnet['id']}")
        assert revision() > second

    def test_ipv6_needs_its_mtu_in_either_order(self, cloud: Cloud) -> None:
        """N6."""
        network = cloud.admin.make("network", shared=True, mtu=1279)
        fields = {"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
        refused = (409, "NetworkMTUSubnetConflict")
        assert cloud.admin.refused("subnet", **fields)[:2] == refused
        cloud.admin.change("network", network["id"], mtu=1280)
        cloud.admin.make("subnet", **fields)
        assert cloud.admin.refused("network", network["id"], mtu=1279)[:2] == refused
        other = cloud.admin.network("10.0.0.0/24", shared=True, mtu=576)
        assert cloud.admin.change("network", other["id"], mtu=68)["mtu"] == 68

    def test_subnets_are_found_by_whether_their_network_is_shared(self, cloud: Cloud) -> None:
        """N4: 400."""
        cloud.has_host()
        front = cloud.admin.network("10.0.0.0/24", shared=True)
        own = cloud.alice.network("10.1.0.0/24")
        for shared, network in ((True, front), (False, own)):
            (found,) = cloud.alice.get("subnets", shared=shared)["subnets"]
            assert found["network_id"] == network["id"]
            assert "shared" not in found

    def test_what_is_shared_says_what_goes_first(self, cloud: Cloud) -> None:
        """N18."""
        cloud.has_host()
        network = cloud.alice.network("10.0.0.0/24")
        share = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2"}
        cloud.alice.make("rbac_policy", action="access_as_shared", **share)
        status, _, message = refusal(cloud.alice.call("DELETE", f"networks/{network['id']}"))
        assert status == 403
        assert "delete RBAC policy" in message

    @pytest.mark.parametrize("word", ["compute:", "network:", "compute:nova"])
    def test_a_service_type_may_be_an_owner_alone(self, cloud: Cloud, word: str) -> None:
        """N16."""
        network = cloud.admin.make("network", shared=True)
        made = subnet_of(cloud.admin, network, "10.0.0.0/24", service_types=[word])
        assert made["service_types"] == [word]


class TestAutomaticAddresses:
    """C05, C06, N7: addresses that guests form themselves come and go with their subnet."""

    @pytest.mark.parametrize("wish", ["subnet", "address", "none"])
    def test_a_port_has_its_own_beside_what_it_wishes(self, cloud: Cloud, wish: str) -> None:
        network = cloud.admin.make("network", shared=True)
        subnet = subnet_of(cloud.admin, network, "10.0.0.0/24")
        slaac(cloud.admin, network, "2001:db8::/64")
        wishes = {
            "subnet": [{"subnet_id": subnet["id"]}],
            "address": [{"ip_address": "10.0.0.9"}],
            "none": [],
        }[wish]
        port = cloud.admin.make("port", network_id=network["id"], fixed_ips=wishes)
        assert len(port["fixed_ips"]) == len(wishes) + 1
        assert addresses(port)[-1].startswith("2001:db8::")
        assert "ff:fe" in addresses(port)[-1]

    def test_ports_get_theirs_with_the_subnet_and_keep_it(self, cloud: Cloud) -> None:
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        port = cloud.admin.make("port", network_id=network["id"])
        router = cloud.admin.make(
            "port", network_id=network["id"], device_owner="network:router_interface"
        )
        subnet = slaac(cloud.admin, network, "2001:db8::/64")
        shown = cloud.admin.get(f"ports/{port['id']}")["port"]
        assert addresses(shown)[0] == addresses(port)[0]
        assert shown["fixed_ips"][1]["subnet_id"] == subnet["id"]
        assert shown["policy_revision"] > port["policy_revision"]
        assert cloud.admin.get(f"ports/{router['id']}")["port"]["fixed_ips"] == router["fixed_ips"]
        moved = cloud.admin.change("port", port["id"], fixed_ips=[{"ip_address": "10.0.0.77"}])
        assert addresses(moved) == ["10.0.0.77", addresses(shown)[1]]

    def test_deleting_the_subnet_takes_them_back(self, cloud: Cloud) -> None:
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        subnet = slaac(cloud.admin, network, "2001:db8::/64")
        port = cloud.admin.make("port", network_id=network["id"])
        assert len(port["fixed_ips"]) == 2
        assert cloud.admin.call("DELETE", f"subnets/{subnet['id']}").status_code == 204
        shown = cloud.admin.get(f"ports/{port['id']}")["port"]
        assert [each.startswith("10.") for each in addresses(shown)] == [True]
        assert shown["policy_revision"] > port["policy_revision"]
        assert cloud.admin.call("DELETE", f"ports/{port['id']}").status_code == 204


class TestSubnets:
    @pytest.mark.parametrize(
        ("cidr", "gateway"),
        [
            ("198.51.100.8/29", "203.0.113.1"),
            ("198.51.100.9/32", "203.0.113.1"),
            ("2001:db8::/64", "2001:db8:ffff::1"),
        ],
    )
    def test_a_gateway_may_be_elsewhere(self, cloud: Cloud, cidr: str, gateway: str) -> None:
        """C17: of hosting providers whose customers have a /32."""
        network = cloud.admin.make("network", shared=True)
        made = subnet_of(cloud.admin, network, cidr, gateway_ip=gateway)
        assert made["gateway_ip"] == gateway
        assert cloud.admin.make("port", network_id=network["id"])

    def test_guests_are_told_nothing_of_modes_where_dhcp_is_off(self, cloud: Cloud) -> None:
        """C21."""
        network = cloud.admin.make("network", shared=True)
        fields = {"network_id": network["id"], "ip_version": 6, "cidr": "2001:db8::/64"}
        modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
        refused = (400, "InvalidInput")
        assert cloud.admin.refused("subnet", **fields, **modes, enable_dhcp=False)[:2] == refused
        made = cloud.admin.make("subnet", **fields, **modes)
        assert cloud.admin.refused("subnet", made["id"], enable_dhcp=False)[:2] == refused


class TestNova:
    def test_an_address_of_no_subnet_is_told_from_other_bad_input(self, cloud: Cloud) -> None:
        """A3.1 d: Nova catches it by its type."""
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        on = {"network_id": network["id"]}
        for address in ("10.9.9.9", "10.0.0.0", "10.0.0.255"):
            refused = cloud.admin.refused("port", **on, fixed_ips=[{"ip_address": address}])
            assert refused[:2] == (400, "InvalidIpForNetwork")
        wishes = [{"ip_address": "10.9.9.9", "subnet_id": network["subnets"][0]}]
        refused = cloud.admin.refused("port", **on, fixed_ips=wishes)
        assert refused[:2] == (400, "InvalidIpForSubnet")

    def test_a_service_may_what_nova_does_with_a_port(self, cloud: Cloud) -> None:
        """A3.1 f, by Nova's calls; it was 403."""
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        port = cloud.alice.make("port", network_id=network["id"])
        nova = cloud.nova
        found = nova.get(f"networks/{network['id']}")["network"]
        assert found["provider:network_type"] == "local"
        assert nova.get("subnets", network_id=network["id"])["subnets"]
        where = {"device_id": "11111111-1111-1111-1111-111111111111", "device_owner": "compute:a"}
        bound = nova.change("port", port["id"], **where, **{"binding:host_id": "h1"})
        assert bound["binding:host_id"] == "h1"
        (listed,) = nova.get("ports", device_id=where["device_id"])["ports"]
        assert listed["id"] == port["id"]
        gone = {"device_id": "", "device_owner": "", "binding:host_id": None}
        assert nova.change("port", port["id"], **gone)["device_id"] == ""
        assert nova.refused("port", port["id"], name="mine")[0] == 403


class TestPorts:
    def test_address_pairs_need_port_security(self, cloud: Cloud) -> None:
        """N15."""
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        pairs = [{"ip_address": "10.0.0.5"}]
        off = {"port_security_enabled": False, "security_groups": []}
        refused = (409, "AddressPairAndPortSecurityRequired")
        on = {"network_id": network["id"]}
        assert cloud.admin.refused("port", allowed_address_pairs=pairs, **on, **off)[:2] == refused
        port = cloud.admin.make("port", allowed_address_pairs=pairs, security_groups=[], **on)
        assert cloud.admin.refused("port", port["id"], **off)[:2] == refused
        assert cloud.admin.change("port", port["id"], allowed_address_pairs=[], **off)

    def test_a_null_mac_address_draws_another(self, cloud: Cloud) -> None:
        """N21: extension port-mac-address-regenerate."""
        network = cloud.admin.make("network", shared=True)
        slaac(cloud.admin, network, "2001:db8::/64")
        port = cloud.admin.make("port", network_id=network["id"])
        after = cloud.admin.change("port", port["id"], mac_address=None)
        assert after["mac_address"] != port["mac_address"]
        assert addresses(after) != addresses(port)

    @pytest.mark.parametrize("owner", ["trunk:subport", "kuryr:container", "Octavia"])
    def test_an_owner_is_any_word_but_the_networks_own(self, cloud: Cloud, owner: str) -> None:
        """A3.5: 403."""
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        on = {"network_id": network["id"]}
        assert cloud.alice.make("port", **on, device_owner=owner)["device_owner"] == owner
        refused = cloud.alice.refused("port", **on, device_owner="network:dhcp")
        assert refused[:2] == (403, "PolicyNotAuthorized")

    def test_a_mac_may_be_written_with_dashes(self, cloud: Cloud) -> None:
        """A3.4: 400."""
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        on = {"network_id": network["id"]}
        port = cloud.admin.make("port", **on, mac_address="FA-16-3E-00-00-0A")
        assert port["mac_address"] == "fa:16:3e:00:00:0a"
        for text in ("fa-16-3e-00-00-0A", "fa:16:3e:00:00:0a"):
            assert cloud.admin.get("ports", mac_address=text)["ports"] == [port]
        assert cloud.admin.refused("port", **on, mac_address="fa-16:3e-00-00-0b")[0] == 400


class TestWords:
    """What Neutron takes, and its types of what it refuses, found by asking both the same."""

    def test_null_is_an_empty_list_of_a_subnet(self, cloud: Cloud) -> None:
        network = cloud.admin.make("network", shared=True)
        lists = ("dns_nameservers", "host_routes", "service_types")
        nulls = dict.fromkeys((*lists, "allocation_pools"))
        made = subnet_of(cloud.admin, network, "10.0.0.0/24", **nulls)
        assert [made[name] for name in lists] == [[], [], []]
        assert made["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
        changed = cloud.admin.change("subnet", made["id"], **nulls)
        assert [changed[name] for name in nulls] == [[], [], [], []]

    def test_null_is_an_empty_list_of_an_address_group(self, cloud: Cloud) -> None:
        assert cloud.alice.make("address_group", addresses=None)["addresses"] == []

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"cidr": "10.0.0.0"}, "InvalidInput"),
            (
                {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.8"}]},
                "InvalidAllocationPool",
            ),
            (
                {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.8"}]},
                "OutOfBoundsAllocationPool",
            ),
            (
                {"allocation_pools": [{"start": "fd00::1", "end": "fd00::2"}]},
                "InvalidAllocationPool",
            ),
            (
                {"dns_nameservers": [f"10.0.0.{last}" for last in range(6)]},
                "DNSNameServersExhausted",
            ),
            (
                {
                    "host_routes": [
                        {"destination": f"10.{each}.0.0/16", "nexthop": "10.0.0.1"}
                        for each in range(1, 22)
                    ]
                },
                "HostRoutesExhausted",
            ),
        ],
    )
    def test_types_of_a_bad_subnet(self, cloud: Cloud, fields: dict[str, Any], kind: str) -> None:
        network = cloud.admin.make("network", shared=True)
        of = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"} | fields
        assert cloud.admin.refused("subnet", **of)[:2] == (400, kind)

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            ({"extra_dhcp_opts": [{"opt_name": "mtu"}]}, "InvalidInput"),
            ({"allowed_address_pairs": [{"mac_address": None}]}, "AllowedAddressPairsMissingIP"),
            (
                {"allowed_address_pairs": [{"ip_address": "10.5.5.5"}] * 2},
                "DuplicateAddressPairInRequest",
            ),
        ],
    )
    def test_types_of_a_bad_port(self, cloud: Cloud, fields: dict[str, Any], kind: str) -> None:
        network = cloud.admin.make("network", shared=True)
        refused = cloud.admin.refused("port", network_id=network["id"], **fields)
        assert refused[:2] == (400, kind)

    def test_prefix_lengths_are_sorted_as_numbers(self, cloud: Cloud) -> None:
        for bits in (8, 16, 24):
            cloud.alice.make("subnetpool", prefixes=["10.0.0.0/8"], min_prefixlen=bits)
        found = cloud.alice.get("subnetpools", sort_key="min_prefixlen", sort_dir="desc")
        assert [each["min_prefixlen"] for each in found["subnetpools"]] == ["24", "16", "8"]

    def test_an_address_that_is_not_called_one_is_no_filter(self, cloud: Cloud) -> None:
        refused = refusal(cloud.alice.call("GET", "ports?fixed_ips=10.0.0.5"))
        assert refused[:2] == (400, "InvalidInput")
        assert "ip_address=" in refused[2]

    def test_tags_that_are_added_are_200(self, cloud: Cloud) -> None:
        network = cloud.admin.make("network", shared=True)
        answer = cloud.admin.call("POST", f"networks/{network['id']}/tags", {"tags": ["a"]})
        assert (answer.status_code, answer.json()) == (200, {"tags": ["a"]})


class TestPortsThatServe:
    """A3.6: a DHCP server's port had the default group, and kept its network from being deleted."""

    @pytest.fixture
    def network(self, held: Cloud) -> dict[str, Any]:
        return held.admin.network("10.0.0.0/24", shared=True)

    def test_they_have_no_groups_but_those_that_are_named(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        fields = {"network_id": network["id"], "device_owner": "network:dhcp"}
        port = held.admin.make("port", **fields)
        assert (port["security_groups"], port["security_groups_enabled"]) == ([], False)
        group = held.admin.make("security_group", name="g")["id"]
        port = held.admin.make("port", **fields, security_groups=[group])
        assert (port["security_groups"], port["security_groups_enabled"]) == ([group], True)
        assert held.admin.make("port", **fields, security_groups_enabled=True)["security_groups"]

    def test_their_network_takes_them_along(self, held: Cloud, network: dict[str, Any]) -> None:
        on = {"network_id": network["id"]}
        served = held.admin.make("port", **on, device_owner="network:dhcp")
        guest = held.admin.make("port", **on)
        refused = refusal(held.admin.call("DELETE", f"networks/{network['id']}"))
        assert refused[:2] == (409, "NetworkInUse")
        assert guest["id"] in refused[2]
        assert served["id"] not in refused[2]
        held.admin.call("DELETE", f"ports/{guest['id']}")
        assert held.admin.call("DELETE", f"networks/{network['id']}").status_code == 204
        assert held.admin.get("ports") == {"ports": []}

    def test_their_subnet_takes_their_addresses_back(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        on = {"network_id": network["id"]}
        served = held.admin.make("port", **on, device_owner="network:dhcp")
        (subnet,) = network["subnets"]
        assert held.admin.call("DELETE", f"subnets/{subnet}").status_code == 204
        shown = held.admin.get(f"ports/{served['id']}")["port"]
        assert shown["fixed_ips"] == []
        assert shown["policy_revision"] > served["policy_revision"]
        again = subnet_of(held.admin, network, "10.0.0.0/24")
        guest = held.admin.make("port", **on)
        refused = refusal(held.admin.call("DELETE", f"subnets/{again['id']}"))
        assert (refused[:2], guest["fixed_ips"] != []) == ((409, "SubnetInUse"), True)


class TestLinkLocal:
    """C14, C20: link-local addresses on networks of a project's own, and beyond."""

    def test_a_range_of_them_is_an_isolated_networks(self, cloud: Cloud) -> None:
        cloud.has_host()
        network = cloud.alice.make("network")
        subnet = subnet_of(cloud.alice, network, "169.254.10.0/30", gateway_ip=None)
        pairs = [{"ip_address": "169.254.10.2"}, {"ip_address": "fe80::a"}]
        port = cloud.alice.make("port", network_id=network["id"], allowed_address_pairs=pairs)
        assert addresses(port) == ["169.254.10.1"]
        assert [each["ip_address"] for each in port["allowed_address_pairs"]] == [
            "169.254.10.2",
            "fe80::a",
        ]
        cloud.alice.change("port", port["id"], allowed_address_pairs=[])
        share = {"object_type": "network", "object_id": network["id"], "target_tenant": "p2"}
        refused = cloud.alice.refused("rbac_policy", action="access_as_shared", **share)
        assert refused[:2] == (409, "InvalidSharedSetting")
        assert subnet["id"] in refused[2]
        fields = {"network_id": network["id"], "ip_version": 6, "cidr": "fe80::/64"}
        status, _, message = cloud.alice.refused("subnet", **fields)
        assert (status, "link-local" in message) == (400, True)

    def test_a_virtual_routers_first_address_may_be_one(self, held: Cloud) -> None:
        """VRRPv3's list begins with a link-local address (RFC 9568, 5.2.9)."""
        network = held.alice.make("network")
        subnet = subnet_of(held.alice, network, "2001:db8::/64", gateway_ip="fe80::1")
        assert subnet["gateway_ip"] == "fe80::1"
        pairs = [{"ip_address": "fe80::1"}]
        members = [
            held.alice.make("port", network_id=network["id"], allowed_address_pairs=pairs)["id"]
            for _ in range(2)
        ]
        group = held.alice.make(
            "ip_group",
            network_id=network["id"],
            addresses=[{"ip_address": "fe80::1"}, {"ip_address": "2001:db8::100"}],
            members=members,
            vrid6=7,
        )
        found = [each["ip_address"] for each in group["addresses"]]
        assert sorted(found) == ["2001:db8::100", "fe80::1"]


class TestOthers:
    def test_the_first_default_rules_say_what_they_are(self, cloud: Cloud) -> None:
        """N20."""
        rules = cloud.admin.get("default-security-group-rules")["default_security_group_rules"]
        said = {(rule["direction"], rule["description"]) for rule in rules}
        assert said == {
            (way, f"Legacy default SG rule for {way} traffic") for way in ("egress", "ingress")
        }

    def test_what_there_is_none_of_is_an_empty_list(self, cloud: Cloud) -> None:
        """N21, A3.7: 404."""
        cloud.has_host()
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        agent = cloud.admin.get("agents")["agents"][0]
        for user in (cloud.admin, cloud.alice):
            assert user.get("availability_zones") == {"availability_zones": []}
        assert cloud.admin.get(f"networks/{network['id']}/dhcp-agents") == {"agents": []}
        assert cloud.admin.get(f"agents/{agent['id']}/dhcp-networks") == {"networks": []}
        for path in (
            f"networks/{agent['id']}/dhcp-agents",
            f"agents/{network['id']}/dhcp-networks",
        ):
            assert cloud.admin.call("GET", path).status_code == 404
        shown = cloud.admin.get(f"networks/{network['id']}")["network"]
        assert (shown["availability_zones"], shown["availability_zone_hints"]) == ([], [])

    def test_what_is_nobodys_own_is_an_empty_list_to_a_member(self, cloud: Cloud) -> None:
        """N8: 403."""
        cloud.has_host()
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        agent = cloud.admin.get("agents")["agents"][0]
        assert cloud.alice.get("agents") == {"agents": []}
        assert refusal(cloud.alice.call("GET", f"agents/{agent['id']}"))[:2] == (
            404,
            "AgentNotFound",
        )
        many = "network-ip-availabilities"
        assert cloud.alice.get(many) == {many.replace("-", "_"): []}
        assert cloud.alice.call("GET", f"{many}/{network['id']}").status_code == 404

    def test_a_rule_of_another_project_than_its_group_names_both(self, held: Cloud) -> None:
        """N9: 404."""
        group = held.alice.make("security_group", name="g")
        on = {"security_group_id": group["id"], "direction": "ingress", "project_id": "p9"}
        status, kind, message = held.admin.refused("security_group_rule", **on)
        assert (status, kind) == (400, "HTTPBadRequest")
        assert "p9" in message
        assert "p1" in message

    def test_a_policy_shows_whom_it_is_for_once(self, cloud: Cloud) -> None:
        """N13."""
        cloud.has_host()
        network = cloud.alice.network("10.0.0.0/24")
        share = {"object_type": "network", "object_id": network["id"], "target_project": "p2"}
        policy = cloud.alice.make("rbac_policy", action="access_as_shared", **share)
        assert policy["target_tenant"] == "p2"
        assert "target_project" not in policy

    def test_prefix_lengths_of_a_pool_are_texts(self, cloud: Cloud) -> None:
        """N14."""
        pool = cloud.alice.make("subnetpool", prefixes=["10.0.0.0/8"], min_prefixlen=20)
        shown = [pool[f"{word}_prefixlen"] for word in ("min", "default", "max")]
        assert shown == ["20", "20", "32"]

    @pytest.mark.parametrize("name", ["remote_group_id", "security_group_id"])
    def test_no_group_is_called_bad(self, held: Cloud, name: str) -> None:
        """N20: 400."""
        group = held.alice.make("security_group", name="g")
        fields = {"security_group_id": group["id"], "direction": "ingress", name: "bad"}
        refused = held.alice.refused("security_group_rule", **fields)
        assert refused[:2] == (404, "SecurityGroupNotFound")


class TestQuotas:
    def test_the_operator_creates_for_a_project_within_its_quota(self, cloud: Cloud) -> None:
        """N10."""
        cloud.admin.change("quota", "p1", network=1)
        cloud.admin.make("network", project_id="p1")
        refused = cloud.admin.refused("network", project_id="p1")
        assert refused[:2] == (409, "OverQuota")
        for _ in range(3):
            cloud.admin.make("network")

    def test_what_a_group_begins_with_is_counted(self, held: Cloud) -> None:
        """N19."""
        held.alice.make("security_group", name="first")
        used = held.alice.get("quotas/p1/details")["quota"]["security_group_rule"]["used"]
        held.admin.change("quota", "p1", security_group_rule=used + 1)
        assert held.alice.refused("security_group", name="web")[:2] == (409, "OverQuota")
        held.admin.change("quota", "p1", security_group_rule=used + 2)
        held.alice.make("security_group", name="web")


class TestPaths:
    def test_what_clients_put_behind_a_path_means_nothing(self, cloud: Cloud) -> None:
        """A3.3, A3.6: 404."""
        network = cloud.admin.make("network", name="x.json")
        one = f"networks/{network['id']}"
        for path in (one, f"{one}.json", f"{one}/"):
            assert cloud.admin.get(path)["network"] == network
        for path in ("networks", "networks.json", "networks/"):
            assert cloud.admin.get(path)["networks"] == [network]
        assert cloud.admin.call("PUT", "quotas/a.json", {"quota": {"port": 7}}).status_code == 200
        assert [each["project_id"] for each in cloud.admin.get("quotas")["quotas"]] == ["a.json"]
        assert cloud.admin.get("quotas/p1/details.json") == cloud.admin.get("quotas/p1/details")
        assert cloud.admin.call("PUT", f"{one}/tags/a.json").status_code == 201
        assert cloud.admin.get(f"{one}/tags")["tags"] == ["a.json"]
        assert cloud.admin.call("DELETE", f"{one}.json").status_code == 204

    @pytest.mark.parametrize("path", ["/", "/v2.0/", "/v2.0/networks", "/healthz"])
    def test_head_is_get_without_a_body(self, cloud: Cloud, path: str) -> None:
        """A3.6: 405; load balancers ask so."""
        said = cloud.http.head(path, auth=("admin", "admin"))
        assert (said.status_code, said.content) == (200, b"")

    def test_options_tell_what_may_be_done(self, cloud: Cloud) -> None:
        said = cloud.http.options("/v2.0/networks")
        assert said.status_code == 204
        assert said.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert cloud.http.options("/v2.0/nowhere").status_code == 404


class TestLinks:
    """A3.2: links are by the public URL; what a client says of the host is in none of them."""

    @pytest.fixture
    def public(self, cloud: Cloud, server: tuple[Application, Any]) -> Iterator[Cloud]:
        state = server[0].state
        before = state.settings
        state.settings = Settings(public_url="https://cloud.example:9696/")
        yield cloud
        state.settings = before

    @pytest.mark.parametrize("path", ["/", "/v2.0", "/v2.0/"])
    def test_of_versions(self, public: Cloud, path: str) -> None:
        said = public.http.get(path, headers={"Host": "evil.example"})
        assert "evil.example" not in said.text
        assert "127.0.0.1" not in said.text
        assert said.json()["versions"][0]["links"][0]["href"] == "https://cloud.example:9696/v2.0/"

    @pytest.mark.parametrize("one", ["network", "port"])
    def test_of_pages(self, public: Cloud, one: str) -> None:
        network = public.admin.make("network", name="n")
        for _ in range(2):
            public.admin.make("network", name="n")
            public.admin.make("port", network_id=network["id"])
        said = public.admin.call("GET", f"{one}s", params={"limit": 1}, headers={"Host": "evil.x"})
        (link,) = said.json()[f"{one}s_links"]
        assert link["href"].startswith(f"https://cloud.example:9696/v2.0/{one}s?limit=1&marker=")


class TestTexts:
    """C19: names in every living script, and nothing that is not seen or turns what is."""

    @pytest.mark.parametrize(
        "name",
        [
            "\u540d\u524d\u3000\u4e00",
            "a\u00a0b",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\U0001f469\u200d\U0001f4bb",
            "\u0928\u092e\u0938\u094d\u0924\u0947",
        ],
    )
    def test_a_name(self, cloud: Cloud, name: str) -> None:
        network = cloud.admin.make("network", name=name)
        assert network["name"] == name
        assert cloud.admin.get("networks", name=name)["networks"] == [network]

    @pytest.mark.parametrize(
        ("name", "where"),
        [
            ("a\nb", "U+000A at character 2"),
            ("ab\u202ec", "U+202E at character 3"),
            ("\u2066a", "U+2066 at character 1"),
            ("\u2028", "U+2028 at character 1"),
            ("a\u00ad", "U+00AD at character 2"),
            ("\x1b[1m", "U+001B at character 1"),
        ],
    )
    def test_what_is_none_is_shown_and_where(self, cloud: Cloud, name: str, where: str) -> None:
        status, _, message = cloud.admin.refused("network", name=name)
        assert status == 400
        assert where in message

    @pytest.mark.parametrize(
        "name",
        [
            *(" ", "\u3000\u00a0", "\u3164", "\u115f\u1160", "\uffa0", "\u200d\u200c", "\ufe0f"),
            *("\u034f", "\u17b5", "\u2800 \u2800", "\U0001d159", "\U000e0100"),
        ],
    )
    def test_a_name_that_shows_nothing_is_none(self, cloud: Cloud, name: str) -> None:
        """F11: nobody sees, in a list, that there is such a network, or tells two apart."""
        status, _, message = cloud.admin.refused("network", name=name)
        assert status == 400
        assert f"U+{ord(name[0]):04X}" in message
        made = cloud.admin.make("network", name=f"{name}a{name}")
        assert cloud.admin.refused("network", made["id"], name=name)[0] == 400
        refused = cloud.admin.call("POST", f"networks/{made['id']}/tags", {"tags": [name]})
        assert refused.status_code == 400
        assert cloud.admin.change("network", made["id"], name="")["name"] == ""

    def test_a_description_has_lines(self, cloud: Cloud) -> None:
        text = "one\n\ttwo\r\nthree"
        assert cloud.admin.make("network", description=text)["description"] == text
        assert cloud.admin.refused("network", description="a\u202eb")[0] == 400
