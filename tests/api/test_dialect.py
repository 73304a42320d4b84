"""Networks, subnets and ports as Neutron v2.0 speaks of them."""

from typing import Any

import pytest
from tests.api.cloud import Cloud, refusal

from vifguard.model.guard import SELECTABLE

TENANT = {"device_id", "device_owner", "name", "description"}


def test_a_network_its_subnets_and_a_port(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", "2001:db8::/64", name="front", shared=True)
    assert len(network["subnets"]) == 2
    assert network["status"] == "ACTIVE"
    assert network["provider:network_type"] == "local"
    port = cloud.admin.make("port", network_id=network["id"], name="web")
    assert [f["ip_address"] for f in port["fixed_ips"]] == ["10.0.0.2", "2001:db8::2"]
    assert port["status"] == "DOWN"
    assert port["effective_guards"][0] == "ethertype"
    assert port["revision_number"] == 1
    assert port["created_at"] == port["updated_at"]
    changed = cloud.admin.change("port", port["id"], name="web2")
    assert (changed["name"], changed["revision_number"]) == ("web2", 2)
    assert cloud.admin.get(f"ports/{port['id']}")["port"] == changed
    assert cloud.admin.call("DELETE", f"ports/{port['id']}").status_code == 204
    assert refusal(cloud.admin.call("GET", f"ports/{port['id']}")) == (
        404,
        "PortNotFound",
        f"Port {port['id']} could not be found.",
    )


def test_a_subnet_has_the_usual_gateway_and_pools(cloud: Cloud) -> None:
    network = cloud.admin.make("network", shared=True)
    found = [
        cloud.admin.make("subnet", network_id=network["id"], ip_version=v, cidr=cidr, **more)
        for v, cidr, more in (
            (4, "10.0.0.0/24", {}),
            (4, "10.0.1.0/24", {"gateway_ip": None}),
            (4, "10.0.2.0/24", {"gateway_ip": "10.0.2.9"}),
            (6, "2001:db8::/64", {}),
            (6, "2001:db8:1::/64", {"gateway_ip": "fe80::1"}),
        )
    ]
    assert [
        (s["gateway_ip"], [tuple(p.values()) for p in s["allocation_pools"]]) for s in found
    ] == [
        ("10.0.0.1", [("10.0.0.2", "10.0.0.254")]),
        (None, [("10.0.1.1", "10.0.1.254")]),
        ("10.0.2.9", [("10.0.2.1", "10.0.2.8"), ("10.0.2.10", "10.0.2.254")]),
        ("2001:db8::1", [("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")]),
        ("fe80::1", [("2001:db8:1::1", "2001:db8:1:0:ffff:ffff:ffff:ffff")]),
    ]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"cidr": "10.0.0.0/25"}, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "gateway_ip": "10.1.0.255"}, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "gateway_ip": "2001:db8::1"}, "InvalidInput"),
        (
            {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.1", "end": "10.1.0.9"}]},
            "GatewayConflictWithAllocationPools",
        ),
        (
            {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.5", "end": "10.1.1.9"}]},
            "OutOfBoundsAllocationPool",
        ),
        (
            {
                "cidr": "10.1.0.0/24",
                "allocation_pools": [
                    {"start": "10.1.0.5", "end": "10.1.0.9"},
                    {"start": "10.1.0.9", "end": "10.1.0.20"},
                ],
            },
            "OverlappingAllocationPools",
        ),
        (
            {"cidr": "10.1.0.0/24", "allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.5"}]},
            "InvalidAllocationPool",
        ),
        ({"cidr": "10.1.0.0/24", "ip_version": 6}, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "ipv6_ra_mode": "slaac"}, "InvalidInput"),
        ({"cidr": "10.1.0.0/24", "dns_nameservers": ["2001:db8::1"]}, "InvalidInput"),
        (
            {
                "cidr": "10.1.0.0/24",
                "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "2001:db8::1"}],
            },
            "InvalidInput",
        ),
        (
            {"cidr": "2001:db8::/48", "ip_version": 6, "ipv6_address_mode": "slaac"},
            "InvalidInput",
        ),
    ],
)
def test_a_subnet_that_contradicts_itself_is_refused(
    cloud: Cloud, fields: dict[str, Any], kind: str
) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    before = cloud.rows()
    _, found, _ = cloud.admin.refused(
        "subnet", **{"network_id": network["id"], "ip_version": 4} | fields
    )
    assert found == kind
    assert cloud.rows() == before


def test_a_gateway_may_move_out_of_the_pools(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    subnet = network["subnets"][0]
    pools = [{"start": "10.0.0.10", "end": "10.0.0.20"}]
    assert cloud.admin.refused("subnet", subnet, gateway_ip="10.0.0.5")[0] == 409
    changed = cloud.admin.change(
        "subnet", subnet, gateway_ip="10.0.0.5", allocation_pools=pools, enable_dhcp=False
    )
    assert (changed["gateway_ip"], changed["allocation_pools"]) == ("10.0.0.5", pools)
    port = cloud.admin.make("port", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "10.0.0.10"
    assert cloud.admin.refused("subnet", subnet, cidr="10.0.0.0/16") == (
        400,
        "HTTPBadRequest",
        "Cannot update read-only attribute cidr",
    )


def test_bulk_is_all_or_nothing(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/29", shared=True)
    made = cloud.admin.call(
        "POST", "ports", {"ports": [{"network_id": network["id"], "name": n} for n in "ab"]}
    )
    assert made.status_code == 201
    assert [port["name"] for port in made.json()["ports"]] == ["a", "b"]
    before = cloud.rows()
    too_many = {"ports": [{"network_id": network["id"]} for _ in range(9)]}
    assert refusal(cloud.admin.call("POST", "ports", too_many))[1] == "IpAddressGenerationFailure"
    assert cloud.rows() == before
    networks = cloud.admin.call("POST", "networks", {"networks": [{"name": "x"}, {"name": "y"}]})
    assert [each["name"] for each in networks.json()["networks"]] == ["x", "y"]


def test_status_is_active_only_when_enforced(cloud: Cloud) -> None:
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    port = cloud.admin.make("port", network_id=network["id"])
    assert port["binding:host_id"] == "h1"
    assert (port["status"], port["enforced_revision"]) == ("DOWN", 0)
    assert "h1 has not reported" in port["status_reason"]
    cloud.enforces(port)
    port = cloud.admin.get(f"ports/{port['id']}")["port"]
    assert (port["status"], port["status_reason"]) == ("ACTIVE", "")
    assert port["enforced_revision"] == port["policy_revision"]
    port = cloud.admin.change("port", port["id"], guard_profile="mac")
    assert port["status"] == "DOWN"
    assert str(port["policy_revision"]) in port["status_reason"]
    port = cloud.admin.change("port", port["id"], name="only a name")
    assert port["enforced_revision"] < port["policy_revision"]


def test_the_driver_and_the_wiring_of_a_port_are_shown_to_who_binds_it(cloud: Cloud) -> None:
    """As Neutron shows its mechanism drivers; a port may have another than its neighbour."""
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    one, other = (cloud.alice.make("port", network_id=network["id"]) for _ in range(2))
    assert cloud.admin.get(f"ports/{one['id']}")["port"]["binding:vif_details"] == {}
    cloud.enforces(one, driver="ebpf", wiring="hands-off")
    cloud.enforces(other, driver="recorder")
    both = {"bound_drivers": {"0": "ebpf"}, "wiring": "hands-off"}
    for port, details in ((one, both), (other, {"bound_drivers": {"0": "recorder"}})):
        listed = {each["id"]: each for each in cloud.admin.get("ports")["ports"]}[port["id"]]
        assert cloud.admin.get(f"ports/{port['id']}")["port"]["binding:vif_details"] == details
        assert listed["binding:vif_details"] == details
    own = [cloud.alice.get(f"ports/{one['id']}")["port"], *cloud.alice.get("ports")["ports"]]
    assert not any("binding:vif_details" in each for each in own)


def test_deleting_a_network_takes_its_subnets_and_not_its_ports(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    port = cloud.admin.make("port", network_id=network["id"])
    status, kind, message = refusal(cloud.admin.call("DELETE", f"networks/{network['id']}"))
    assert (status, kind) == (409, "NetworkInUse")
    assert port["id"] in message
    subnet = network["subnets"][0]
    assert refusal(cloud.admin.call("DELETE", f"subnets/{subnet}"))[1] == "SubnetInUse"
    cloud.admin.call("DELETE", f"ports/{port['id']}")
    assert cloud.admin.call("DELETE", f"networks/{network['id']}").status_code == 204
    assert cloud.admin.get("subnets") == {"subnets": []}


def test_provider_attributes_agree_or_are_refused(cloud: Cloud) -> None:
    flat = {"provider:network_type": "flat", "provider:physical_network": "physnet1"}
    network = cloud.admin.make("network", shared=True, **flat)
    assert network["provider:network_type"] == "flat"
    assert cloud.admin.refused("network", shared=True, **flat)[1] == "FlatNetworkInUse"
    assert cloud.admin.refused("network", **flat | {"provider:physical_network": "p2"})[0] == 400
    assert cloud.admin.refused("network", **{"provider:network_type": "flat"})[0] == 400
    assert cloud.admin.refused("network", **{"provider:network_type": "vlan"})[0] == 400
    assert cloud.admin.refused("network", network["id"], shared=False)[0] == 400
    assert cloud.admin.refused("network", **{"router:external": "perhaps"})[0] == 400


def test_guards_and_a_profile_are_not_both_chosen(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24", shared=True)
    ungrouped = {"security_groups_enabled": False}
    port = cloud.admin.make("port", network_id=network["id"], guards=["arp"], **ungrouped)
    assert port["effective_guards"] == ["ethertype", "mac", "arp"]
    status, _, message = cloud.admin.refused("port", port["id"], guard_profile="strict")
    assert status == 400
    assert "set one of them to null" in message
    port = cloud.admin.change("port", port["id"], guard_profile="strict", guards=None)
    assert len(port["effective_guards"]) == len(SELECTABLE)
    port = cloud.admin.change("port", port["id"], guard_profile=None, guards=[])
    assert port["effective_guards"] == []
    assert cloud.admin.refused("port", port["id"], guards=["host"])[0] == 400


def test_address_pairs_are_shown_as_neutron_shows_them(cloud: Cloud) -> None:
    network = cloud.admin.network("10.0.0.0/24")
    pairs = [
        {"ip_address": "10.0.0.77"},
        {"ip_address": "10.5.0.0/16", "mac_address": "02:00:00:00:00:0A"},
        {"ip_address": "2001:DB8::1"},
    ]
    port = cloud.admin.make("port", network_id=network["id"], allowed_address_pairs=pairs)
    assert port["allowed_address_pairs"] == [
        {"ip_address": "10.0.0.77", "mac_address": port["mac_address"]},
        {"ip_address": "10.5.0.0/16", "mac_address": "02:00:00:00:00:0A"},
        {"ip_address": "2001:DB8::1", "mac_address": port["mac_address"]},
    ]
    port = cloud.admin.change("port", port["id"], allowed_address_pairs=[])
    assert port["allowed_address_pairs"] == []


def test_what_neutron_coerces_is_coerced(cloud: Cloud) -> None:
    network = cloud.admin.make("network", shared="True", admin_state_up="false", mtu="1400")
    assert (network["shared"], network["admin_state_up"], network["mtu"]) == (True, False, 1400)
    subnet = cloud.admin.make(
        "subnet", network_id=network["id"], ip_version="4", cidr="10.0.0.0/24", enable_dhcp=0
    )
    assert subnet["enable_dhcp"] is False


def test_tenant_id_is_the_old_word_for_project_id(cloud: Cloud) -> None:
    network = cloud.admin.make("network", tenant_id="p1")
    assert network["project_id"] == network["tenant_id"] == "p1"
    assert cloud.admin.refused("network", tenant_id="p1", project_id="p2")[0] == 400
    assert [n["id"] for n in cloud.admin.get("networks", tenant_id="p1")["networks"]] == [
        network["id"]
    ]


def test_versions_need_no_name(cloud: Cloud) -> None:
    for path in ("/", "/v2.0", "/v2.0/"):
        found = cloud.http.get(path).json()["versions"][0]
        assert (found["id"], found["status"]) == ("v2.0", "CURRENT")
        assert found["links"][0]["href"].endswith("/v2.0/")
    assert cloud.http.get("/healthz").status_code == 200


def test_extensions(cloud: Cloud) -> None:
    aliases = {each["alias"] for each in cloud.alice.get("extensions")["extensions"]}
    assert {"port-security", "allowed-address-pairs", "ip-groups"} <= aliases
    assert cloud.alice.get("extensions/binding")["extension"]["alias"] == "binding"
    assert refusal(cloud.alice.call("GET", "extensions/router"))[1] == "ExtensionNotFound"


class TestLists:
    @pytest.fixture
    def ports(self, cloud: Cloud) -> list[dict[str, Any]]:
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        return [
            cloud.admin.make(
                "port",
                network_id=network["id"],
                name=name,
                device_id=f"vm-{n % 2}",
                admin_state_up=n % 2 == 0,
            )
            for n, name in enumerate("cab" * 2)
        ]

    @staticmethod
    def names(cloud: Cloud, **query: Any) -> str:
        return "".join(port["name"] for port in cloud.admin.get("ports", **query)["ports"])

    def test_filters_are_equality(self, cloud: Cloud, ports: list[dict[str, Any]]) -> None:
        assert self.names(cloud) == "cabcab"
        assert self.names(cloud, name="a") == "aa"
        assert self.names(cloud, name=["a", "b"], device_id="vm-0") == "ba"
        assert self.names(cloud, admin_state_up="False") == "acb"
        assert self.names(cloud, mac_address=ports[2]["mac_address"].upper()) == "b"
        assert self.names(cloud, fixed_ips="ip_address=10.0.0.4") == "b"
        assert self.names(cloud, fixed_ips="subnet_id=nothing") == ""
        assert self.names(cloud, name="nobody") == ""
        assert self.names(cloud, device_id="") == ""
        assert self.names(cloud, guard_profile="") == "cabcab"

    def test_fields(self, cloud: Cloud, ports: list[dict[str, Any]]) -> None:
        found = cloud.admin.get("ports", fields=["id", "name"])["ports"]
        assert [set(each) for each in found] == [{"id", "name"}] * 6
        assert cloud.admin.get(f"ports/{ports[0]['id']}", fields="name") == {"port": {"name": "c"}}

    def test_sorting(self, cloud: Cloud, ports: list[dict[str, Any]]) -> None:
        assert len(ports) == 6
        assert self.names(cloud, sort_key="name") == "aabbcc"
        assert self.names(cloud, sort_key="name", sort_dir="desc") == "ccbbaa"
        twice = {"sort_key": ["device_id", "name"], "sort_dir": ["desc", "asc"]}
        assert self.names(cloud, **twice) == "abcabc"

    @pytest.mark.parametrize("sort", [{}, {"sort_key": "name"}])
    def test_pages_are_the_list(
        self, cloud: Cloud, ports: list[dict[str, Any]], sort: dict[str, str]
    ) -> None:
        assert len(ports) == 6
        whole = [p["id"] for p in cloud.admin.get("ports", **sort)["ports"]]
        found: list[str] = []
        page = cloud.admin.get("ports", limit=4, **sort)
        while True:
            found += [port["id"] for port in page["ports"]]
            following = [x["href"] for x in page.get("ports_links", ()) if x["rel"] == "next"]
            if not following:
                break
            page = cloud.http.get(following[0], auth=("admin", "admin")).json()
        assert found == whole
        back = next(x["href"] for x in page["ports_links"] if x["rel"] == "previous")
        before = cloud.http.get(back, auth=("admin", "admin")).json()
        assert [port["id"] for port in before["ports"]] == whole[:4]

    @pytest.mark.parametrize("reverse", ["False", "True"])
    @pytest.mark.parametrize("limit", range(1, 8))
    def test_a_page_read_alone_is_the_page_of_the_whole_list(
        self, cloud: Cloud, ports: list[dict[str, Any]], limit: int, reverse: str
    ) -> None:
        """Sorting by what is already the order reads every port; the answer is the same."""
        for marker in (None, *(port["id"] for port in ports)):
            query = {"limit": limit, "page_reverse": reverse} | (
                {"marker": marker} if marker else {}
            )
            alone = cloud.admin.get("ports", **query)
            whole = cloud.admin.get("ports", **query, sort_key="created_at")
            links = [x["rel"] for x in alone.get("ports_links", ())]
            assert alone["ports"] == whole["ports"]
            assert links == [x["rel"] for x in whole.get("ports_links", ())]

    @pytest.mark.parametrize(
        "query",
        [
            {"colour": "red"},
            {"binding:profile": "x"},
            {"limit": "-1"},
            {"limit": "1_0"},
            {"changed_since": "2026-99-99T99:99:99Z"},
            {"limit": "٣"},
            {"limit": " 2 "},
            {"sort_key": "colour"},
            {"sort_key": "name", "sort_dir": "up"},
            {"sort_key": "name", "sort_dir": ["asc", "asc"]},
            {"admin_state_up": "perhaps"},
            {"marker": "11111111-1111-1111-1111-111111111111"},
            {"name": ["x"] * 300},
        ],
    )
    def test_what_is_no_query_is_refused(
        self, cloud: Cloud, ports: list[dict[str, Any]], query: dict[str, Any]
    ) -> None:
        assert ports
        assert refusal(cloud.admin.call("GET", "ports", params=query))[0] in {400, 404}


def test_reading_creates_nothing(cloud: Cloud) -> None:
    cloud.admin.network("10.0.0.0/24", shared=True)
    before = cloud.rows()
    for user in (cloud.admin, cloud.alice, cloud.rita):
        for path in ("networks", "subnets", "ports", "ip-groups", "extensions"):
            user.get(path)
        user.get("ports", project_id="somebody-unheard-of")
    assert cloud.rows() == before
