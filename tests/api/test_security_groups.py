"""Security groups as Neutron has them; what hosts can hold is no matter of theirs."""

from collections.abc import Iterator
from typing import Any

import openstack
import pytest
from openstack.connection import Connection
from tests.api.cloud import Cloud, refusal
from tests.api.test_openstacksdk import connect

from vifguard.api.access import quota
from vifguard.attributes.values.protocol import NUMBERS
from vifguard.client.client import Client
from vifguard.client.endpoint import Endpoint
from vifguard.client.feed import HttpFeed
from vifguard.model.noun import Noun
from vifguard.model.security_group import IcmpType, PortRange, Rule
from vifguard.model.verdict import Direction
from vifguard.store.feed import StoreFeed

NOBODY = "11111111-1111-1111-1111-111111111111"
FROM, TO = Direction


@pytest.fixture
def held(cloud: Cloud) -> Cloud:
    """A cloud whose host can hold security groups."""
    cloud.has_host(groups=True)
    return cloud


@pytest.fixture
def network(held: Cloud) -> dict[str, Any]:
    return held.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)


def make_rule(cloud: Cloud, group: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return cloud.alice.make(
        "security_group_rule",
        **{"security_group_id": group["id"], "direction": "ingress"} | fields,
    )


class TestOffer:
    """What a host says of itself changes nothing for others: it holds closed what it cannot."""

    def test_no_host_at_all(self, cloud: Cloud) -> None:
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        group = cloud.alice.make("security_group", name="web")
        port = cloud.alice.make("port", network_id=network["id"], security_groups=[group["id"]])
        assert port["security_groups"] == [group["id"]]

    def test_the_report_of_a_host_that_cannot_refuses_nothing(self, cloud: Cloud) -> None:
        cloud.has_host("h1", groups=True)
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        cloud.has_host("rogue-x", isolation=False)
        group = cloud.alice.make("security_group", name="web")
        assert cloud.alice.make(
            "security_group_rule", security_group_id=group["id"], direction="ingress"
        )
        assert cloud.alice.make("address_group", addresses=["192.0.2.0/24"])
        assert cloud.alice.make("network", name="own")
        (default,) = cloud.alice.make("port", network_id=network["id"])["security_groups"]
        port = cloud.alice.make("port", network_id=network["id"], security_groups=[group["id"]])
        again = cloud.alice.change("port", port["id"], security_groups=[default])
        assert (again["security_groups"], "groups" in again["effective_guards"]) == (
            [default],
            True,
        )

    def test_a_new_port_has_its_groups_though_its_host_cannot_hold_them(self, cloud: Cloud) -> None:
        """O A4: it had none, and passed everything; now its host holds it closed."""
        cloud.has_host()
        network = cloud.admin.network("10.0.0.0/24", shared=True)
        for fields, many in (({}, 1), ({"security_groups": []}, 0)):
            port = cloud.alice.make("port", network_id=network["id"], **fields)
            assert len(port["security_groups"]) == many
            assert "groups" in port["effective_guards"]

    def test_the_extensions_tell(self, cloud: Cloud) -> None:
        cloud.has_host("h2")
        words = {"security-group", "stateful-security-group", "address-group"}
        assert words <= {each["alias"] for each in cloud.alice.get("extensions")["extensions"]}
        assert cloud.alice.get("extensions/security-group")["extension"]["name"]

    def test_what_is_there_can_still_go(self, held: Cloud, network: dict[str, Any]) -> None:
        port = held.alice.make("port", network_id=network["id"])
        group = held.alice.make("security_group", name="web")
        held.has_host("h2")
        assert held.alice.change("port", port["id"], name="x")["security_groups"]
        kept = port["security_groups"]
        assert held.alice.change("port", port["id"], security_groups=kept)
        rule = group["security_group_rules"][0]["id"]
        held.alice.change("port", port["id"], security_groups=[])
        for path in (f"security-group-rules/{rule}", f"security-groups/{group['id']}"):
            assert held.alice.call("DELETE", path).status_code == 204


class TestDefault:
    def test_reading_makes_none(self, held: Cloud) -> None:
        """CVE-2022-3277: asking for the groups of projects unheard of filled the database."""
        before = held.rows()
        for user in (held.admin, held.alice, held.rita):
            for path in ("security-groups", "security-group-rules", "address-groups"):
                assert not next(iter(user.get(path, project_id="somebody").values()))
                user.get(path)
        assert held.rows() == before

    def test_the_first_port_brings_it(self, held: Cloud, network: dict[str, Any]) -> None:
        ports = [held.alice.make("port", network_id=network["id"]) for _ in range(2)]
        (group,) = held.alice.get("security-groups")["security_groups"]
        assert group["name"] == "default"
        assert group["project_id"] == "p1"
        assert [port["security_groups"] for port in ports] == [[group["id"]]] * 2
        assert "groups" in ports[0]["effective_guards"]
        rules = {
            (rule["direction"], rule["ethertype"], rule["remote_group_id"])
            for rule in group["security_group_rules"]
        }
        assert rules == {
            (way, family, remote)
            for way, remote in (("egress", None), ("ingress", group["id"]))
            for family in ("IPv4", "IPv6")
        }
        assert all(rule["belongs_to_default_sg"] for rule in group["security_group_rules"])

    def test_the_first_group_brings_it(self, held: Cloud) -> None:
        web = held.alice.make("security_group", name="web")
        names = [each["name"] for each in held.alice.get("security-groups")["security_groups"]]
        assert names == ["default", "web"]
        directions = [rule["direction"] for rule in web["security_group_rules"]]
        assert directions == ["egress", "egress"]

    def test_its_name_is_its_own(self, held: Cloud) -> None:
        web = held.alice.make("security_group", name="web")
        default = held.alice.get("security-groups", name="default")["security_groups"][0]
        exists = (409, "SecurityGroupDefaultAlreadyExists")
        assert held.alice.refused("security_group", name="Default")[:2] == exists
        assert held.alice.refused("security_group", web["id"], name="default")[:2] == exists
        kind = held.alice.refused("security_group", default["id"], name="x")[1]
        assert kind == "SecurityGroupCannotUpdateDefault"
        assert held.alice.change("security_group", default["id"], description="x")

    def test_only_the_operator_deletes_it_and_it_comes_again(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        held.alice.make("security_group", name="web")
        key = held.alice.get("security-groups", name="default")["security_groups"][0]["id"]
        answer = refusal(held.alice.call("DELETE", f"security-groups/{key}"))
        assert answer[:2] == (409, "SecurityGroupCannotRemoveDefault")
        assert held.admin.call("DELETE", f"security-groups/{key}").status_code == 204
        port = held.alice.make("port", network_id=network["id"])
        assert port["security_groups"] == [key]


class TestRules:
    @pytest.fixture
    def group(self, held: Cloud) -> dict[str, Any]:
        return held.alice.make("security_group", name="web")

    def meaning(self, cloud: Cloud, group: dict[str, Any]) -> set[Rule]:
        """What a host with a port of the group is told, beside the rules to open anything."""
        network = cloud.admin.network("10.9.0.0/24", shared=True)
        cloud.alice.make("port", network_id=network["id"], security_groups=[group["id"]])
        update = StoreFeed(cloud.store, "h1").next("", 0, 0)
        assert update is not None
        return set(update.groups[group["id"]]) - {Rule(FROM, 4), Rule(FROM, 6)}

    @pytest.mark.parametrize(
        ("fields", "shown", "rule"),
        [
            ({}, {"protocol": None, "ethertype": "IPv4"}, Rule(TO, 4)),
            ({"direction": "egress", "protocol": "gre"}, {}, Rule(FROM, 4, 47)),
            ({"protocol": "TCP"}, {"protocol": "tcp"}, Rule(TO, 4, 6)),
            ({"protocol": "6"}, {"protocol": "6"}, Rule(TO, 4, 6)),
            ({"protocol": 6}, {"protocol": "6"}, Rule(TO, 4, 6)),
            ({"protocol": 0}, {"protocol": "0"}, Rule(TO, 4, 0)),
            ({"protocol": "0"}, {"protocol": "0"}, Rule(TO, 4, 0)),
            ({"protocol": 255}, {"protocol": "255"}, Rule(TO, 4, 255)),
            ({"protocol": "any"}, {"protocol": None}, Rule(TO, 4)),
            ({"protocol": None}, {"protocol": None}, Rule(TO, 4)),
            (
                {"protocol": "tcp", "port_range_min": 0, "port_range_max": "0"},
                {"port_range_min": 0, "port_range_max": 0},
                Rule(TO, 4, 6, PortRange(0, 0)),
            ),
            (
                {"protocol": "udplite", "port_range_min": 1, "port_range_max": 65535},
                {"port_range_min": 1, "port_range_max": 65535},
                Rule(TO, 4, 136, PortRange(1, 65535)),
            ),
            (
                {"protocol": "icmp", "port_range_min": 0, "port_range_max": 0},
                {"port_range_min": 0, "port_range_max": 0},
                Rule(TO, 4, 1, icmp=IcmpType(0, 0)),
            ),
            (
                {"protocol": "icmp", "ethertype": "ipv6", "port_range_min": 128},
                {"protocol": "ipv6-icmp", "ethertype": "IPv6", "port_range_max": None},
                Rule(TO, 6, 58, icmp=IcmpType(128)),
            ),
            (
                {"protocol": "icmpv6", "ethertype": "IPv6"},
                {"protocol": "ipv6-icmp"},
                Rule(TO, 6, 58),
            ),
            ({"protocol": 1, "ethertype": "IPv6"}, {"protocol": "58"}, Rule(TO, 6, 58)),
            (
                {"remote_ip_prefix": "0.0.0.0/0"},
                {"remote_ip_prefix": "0.0.0.0/0", "normalized_cidr": "0.0.0.0/0"},
                Rule(TO, 4),
            ),
        ],
    )
    def test_what_is_said_is_shown_and_told(
        self,
        held: Cloud,
        group: dict[str, Any],
        fields: dict[str, Any],
        shown: dict[str, Any],
        rule: Rule,
    ) -> None:
        made = make_rule(held, group, **fields)
        assert made == made | shown
        assert made == held.alice.get(f"security-group-rules/{made['id']}")["security_group_rule"]
        assert self.meaning(held, group) == {rule}

    @pytest.mark.parametrize("name", NUMBERS)
    def test_a_name_is_a_number(self, held: Cloud, group: dict[str, Any], name: str) -> None:
        make_rule(held, group, protocol=name, ethertype="IPv6")
        number = 58 if name == "icmp" else NUMBERS[name]
        assert self.meaning(held, group) == {Rule(TO, 6, number)}

    @pytest.mark.parametrize(
        ("fields", "kind"),
        [
            *[
                ({"protocol": bad}, "SecurityGroupRuleInvalidProtocol")
                for bad in (" tcp", "tcp ", "tcp\n", "", "-1", -1, 256, "256", "06", "6.0", 6.5)
            ],
            *[
                ({"protocol": bad}, "SecurityGroupRuleInvalidProtocol")
                for bad in ("٦", "1_0", "0x6", "ANY", "all", True, [], {}, ["tcp"], "tcp;udp")
            ],
            *[
                ({"remote_ip_prefix": bad}, "InvalidCIDR")
                for bad in ("192.168.1.1/33", "bad", "10.0.0.0/0.0.0.255", "10.0.0.1/", 1)
            ],
            *[
                ({"remote_ip_prefix": bad}, "InvalidCIDR")
                for bad in ("::ffff:10.0.0.0/120", "fe80::1%eth0", "10.0.0.0/8\n", "010.0.0.0/8")
            ],
            ({"remote_ip_prefix": "2001:db8::/32"}, "SecurityGroupRuleParameterConflict"),
            (
                {"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"},
                "SecurityGroupRuleParameterConflict",
            ),
            ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
            ({"ethertype": None}, "SecurityGroupRuleInvalidEtherType"),
            ({"ethertype": "IPv4\n"}, "SecurityGroupRuleInvalidEtherType"),
            ({"direction": "in"}, "HTTPBadRequest"),
            ({"direction": "to-guest"}, "HTTPBadRequest"),
            ({"direction": None}, "HTTPBadRequest"),
            (
                {"port_range_min": 80, "port_range_max": 80},
                "SecurityGroupProtocolRequiredWithPorts",
            ),
            (
                {"protocol": "tcp", "port_range_min": 80, "port_range_max": 79},
                "SecurityGroupInvalidPortRange",
            ),
            ({"protocol": "tcp", "port_range_max": 6}, "SecurityGroupInvalidPortRange"),
            ({"protocol": "tcp", "port_range_min": 6}, "SecurityGroupInvalidPortRange"),
            *[
                (
                    {"protocol": "tcp", "port_range_min": bad, "port_range_max": 80},
                    "SecurityGroupInvalidPortValue",
                )
                for bad in (-16, 65536, "x", "-1", " 22 ", "1_0", "٣", True, 1.5, [], "")
            ],
            *[
                (
                    {"protocol": each, "port_range_min": 1, "port_range_max": 2},
                    "SecurityGroupInvalidProtocolForPort",
                )
                for each in ("vrrp", 112, "esp", "gre", 0, 255, "ah")
            ],
            (
                {"protocol": "icmp", "port_range_min": 300},
                "SecurityGroupInvalidIcmpValue",
            ),
            (
                {"protocol": "icmp", "port_range_min": 1, "port_range_max": 256},
                "SecurityGroupInvalidIcmpValue",
            ),
            ({"protocol": "icmp", "port_range_max": 6}, "SecurityGroupMissingIcmpType"),
            ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
            ({"protocol": 41}, "SecurityGroupEthertypeConflictWithProtocol"),
            (
                {"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": NOBODY},
                "SecurityGroupMultipleRemoteEntites",
            ),
            ({"normalized_cidr": "10.0.0.0/8"}, "HTTPBadRequest"),
            ({"nonsense": 1}, "HTTPBadRequest"),
        ],
    )
    def test_what_cannot_be_said_is_refused(
        self, held: Cloud, group: dict[str, Any], fields: dict[str, Any], kind: str
    ) -> None:
        before = held.rows()
        body = {"security_group_id": group["id"], "direction": "ingress"} | fields
        status, found, message = held.alice.refused("security_group_rule", **body)
        assert (status, found) == (400, kind)
        assert message.isprintable()
        assert held.rows() == before

    def test_a_rule_that_is_there_is_refused(self, held: Cloud, group: dict[str, Any]) -> None:
        made = make_rule(held, group, protocol="tcp", port_range_min=80, port_range_max=90)
        body = {"security_group_id": group["id"], "direction": "ingress"}
        ports = {"port_range_min": "80", "port_range_max": 90}
        for word in ("TCP", 6, "6"):
            answer = held.alice.refused("security_group_rule", **body, **ports, protocol=word)
            assert answer[:2] == (409, "SecurityGroupRuleExists")
            assert made["id"] in answer[2]
        twice = {"security_group_rules": [body | {"protocol": word} for word in ("udp", 17)]}
        answer = refusal(held.alice.call("POST", "security-group-rules", twice))
        assert answer[:2] == (409, "DuplicateSecurityGroupRuleInPost")
        overlap = ports | {"port_range_min": 85, "port_range_max": 95}
        assert make_rule(held, group, protocol="tcp", **overlap)

    def test_many_at_once_are_of_one_group_and_all_or_nothing(
        self, held: Cloud, group: dict[str, Any]
    ) -> None:
        other = held.alice.make("security_group", name="db")
        body = {"security_group_id": group["id"], "direction": "ingress"}
        both = [body, body | {"security_group_id": other["id"]}]
        many = {"security_group_rules": both}
        kind = refusal(held.alice.call("POST", "security-group-rules", many))[1]
        assert kind == "SecurityGroupNotSingleGroupRules"
        many = {"security_group_rules": [body, body | {"direction": "egress"}]}
        before = held.rows()
        assert refusal(held.alice.call("POST", "security-group-rules", many))[0] == 409
        assert held.rows() == before
        many = {"security_group_rules": [body, body | {"protocol": "tcp"}]}
        assert held.alice.call("POST", "security-group-rules", many).status_code == 201

    def test_what_is_anothers_does_not_exist(self, held: Cloud, group: dict[str, Any]) -> None:
        theirs = held.bob.make("security_group", name="x")["id"]
        addresses = held.bob.make("address_group")["id"]
        body = {"security_group_id": group["id"], "direction": "ingress"}
        before = held.rows()
        for user in (held.alice, held.admin):
            for wrong, kind in (
                ({"remote_group_id": theirs}, "SecurityGroupNotFound"),
                ({"remote_group_id": NOBODY}, "SecurityGroupNotFound"),
                ({"remote_address_group_id": addresses}, "AddressGroupNotFound"),
                ({"remote_address_group_id": NOBODY}, "AddressGroupNotFound"),
            ):
                assert user.refused("security_group_rule", **body, **wrong)[:2] == (404, kind)
        answer = held.alice.refused("security_group_rule", **body | {"security_group_id": theirs})
        assert answer[:2] == (404, "SecurityGroupNotFound")
        assert held.rows() == before

    def test_a_list_is_filtered(self, held: Cloud, group: dict[str, Any]) -> None:
        made = make_rule(held, group, protocol="tcp", remote_group_id=group["id"])
        for query in (
            {"protocol": "tcp"},
            {"remote_group_id": group["id"]},
            {"direction": "ingress", "security_group_id": group["id"]},
        ):
            found = held.alice.get("security-group-rules", **query)["security_group_rules"]
            assert [each["id"] for each in found] == [made["id"]]
        found = held.alice.get(
            "security-group-rules", remote_group_id="", security_group_id=group["id"]
        )
        assert len(found["security_group_rules"]) == 2


class TestPorts:
    def test_the_owner_chooses_on_a_shared_network(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        web = held.alice.make("security_group", name="web")
        port = held.alice.make("port", network_id=network["id"], security_groups=[web["id"]])
        assert port["security_groups"] == [web["id"]]
        port = held.alice.change("port", port["id"], security_groups=[])
        assert port["security_groups"] == []
        assert "groups" in port["effective_guards"]
        found = held.alice.get("ports", security_groups=web["id"])["ports"]
        assert found == []

    def test_a_group_of_another_or_nobody_is_refused(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        mine = held.alice.make("port", network_id=network["id"])
        theirs = held.bob.make("security_group", name="x")["id"]
        for key in (theirs, NOBODY):
            for user in (held.alice, held.admin):
                answer = user.refused("port", mine["id"], security_groups=[key])
                assert answer[:2] == (404, "SecurityGroupNotFound")
            answer = held.alice.refused("port", network_id=network["id"], security_groups=[key])
            assert answer[:2] == (404, "SecurityGroupNotFound")

    def test_stateful_and_stateless_do_not_mix(self, held: Cloud, network: dict[str, Any]) -> None:
        one = held.alice.make("security_group", name="one")
        other = held.alice.make("security_group", name="other", stateful=False)
        both = [one["id"], other["id"]]
        answer = held.alice.refused("port", network_id=network["id"], security_groups=both)
        assert answer[:2] == (409, "SecurityGroupConflict")
        port = held.alice.make("port", network_id=network["id"], security_groups=[other["id"]])
        update = StoreFeed(held.store, "h1").next("", 0, 0)
        assert update is not None
        assert [each.policy.stateful for each in update.ports] == [False]
        in_use = (409, "SecurityGroupInUse")
        assert held.alice.refused("security_group", other["id"], stateful=True)[:2] == in_use
        assert refusal(held.alice.call("DELETE", f"security-groups/{other['id']}"))[:2] == in_use
        assert held.alice.change("security_group", other["id"], stateful=False, name="x")
        held.alice.call("DELETE", f"ports/{port['id']}")
        assert held.alice.change("security_group", other["id"], stateful=True)["stateful"]

    def test_a_group_may_tell_whom_its_ports_refuse(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        group = held.alice.make("security_group", name="polite")
        assert group["reject"] is False
        port = held.alice.make("port", network_id=network["id"], security_groups=[group["id"]])
        feed = StoreFeed(held.store, "h1")
        before = feed.next("", 0, 0)
        assert before is not None
        assert [each.policy.reject for each in before.ports] == [False]
        assert held.alice.change("security_group", group["id"], reject=True)["reject"] is True
        change = feed.next("", before.revision, 0)
        assert change is not None
        assert [(p.policy.port_id, p.policy.reject) for p in change.ports] == [(port["id"], True)]
        assert held.alice.refused("security_group", group["id"], reject="perhaps")[0] == 400

    def test_port_security_and_groups(self, held: Cloud, network: dict[str, Any]) -> None:
        port = held.admin.make("port", network_id=network["id"])
        answer = held.admin.refused("port", port["id"], port_security_enabled=False)
        assert answer[:2] == (409, "PortSecurityPortHasSecurityGroup")
        off = {"port_security_enabled": False, "security_groups": []}
        port = held.admin.change("port", port["id"], **off)
        assert port["effective_guards"] == []
        group = held.admin.make("security_group", name="x")["id"]
        required = (400, "PortSecurityAndIPRequiredForSecurityGroups")
        assert held.admin.refused("port", port["id"], security_groups=[group])[:2] == required
        made = {"network_id": network["id"], "port_security_enabled": False}
        assert held.admin.refused("port", **made, security_groups=[group])[:2] == required
        bare = held.admin.make("port", **made)
        assert bare["security_groups"] == []
        on = held.admin.change("port", bare["id"], port_security_enabled=True)
        assert "groups" in on["effective_guards"]

    def test_an_owner_may_do_without_and_keeps_what_guards_others(
        self, held: Cloud, network: dict[str, Any]
    ) -> None:
        here = {"network_id": network["id"]}
        without = held.alice.make("port", **here, security_groups_enabled=False)
        assert (without["security_groups"], without["security_groups_enabled"]) == ([], False)
        assert "groups" not in without["effective_guards"]
        assert {"mac", "arp", "nd", "ip"} <= set(without["effective_guards"])
        again = held.alice.change("port", without["id"], security_groups_enabled=True)
        assert len(again["security_groups"]) == 1
        assert "groups" in again["effective_guards"]
        refused = (409, "SecurityGroupsDisabled")
        off = {"security_groups_enabled": False}
        groups = again["security_groups"]
        both = off | {"security_groups": groups}
        assert held.alice.refused("port", again["id"], **both)[:2] == refused
        assert held.alice.refused("port", **here, **both)[:2] == refused
        bare = held.alice.change("port", again["id"], **off)
        assert (bare["security_groups"], bare["security_groups_enabled"]) == ([], False)
        assert "groups" not in bare["effective_guards"]
        assert "groups" not in held.alice.change("port", bare["id"], name="x")["effective_guards"]


class TestAddressGroups:
    def test_addresses_come_and_go(self, held: Cloud) -> None:
        given = ["10.0.0.0/8", "2001:DB8::1", "192.0.2.7"]
        group = held.alice.make("address_group", name="x", addresses=given)
        shown = ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"]
        assert group["addresses"] == shown
        path = f"address-groups/{group['id']}"
        one = {"addresses": ["192.0.2.7/32"]}
        answer = refusal(held.alice.call("PUT", f"{path}/add_addresses", one))
        assert answer[:2] == (400, "AddressesAlreadyExist")
        assert held.alice.call("PUT", f"{path}/remove_addresses", one).status_code == 200
        answer = refusal(held.alice.call("PUT", f"{path}/remove_addresses", one))
        assert answer[:2] == (404, "AddressesNotFound")
        body = held.alice.call("PUT", f"{path}/add_addresses", one).json()
        assert body["address_group"]["addresses"] == shown
        assert held.alice.change("address_group", group["id"], name="y")["addresses"] == shown
        assert held.alice.refused("address_group", group["id"], addresses=[])[0] == 400
        rule_group = held.alice.make("security_group", name="web")
        rule = make_rule(held, rule_group, remote_address_group_id=group["id"])
        assert rule["remote_address_group_id"] == group["id"]
        assert rule["remote_group_id"] is None
        answer = refusal(held.alice.call("DELETE", path))
        assert answer[:2] == (409, "AddressGroupInUse")
        held.alice.call("DELETE", f"security-group-rules/{rule['id']}")
        assert held.alice.call("DELETE", path).status_code == 204

    @pytest.mark.parametrize(
        "bad", ["0.0.0.0/0", "::/0", "x", "", 1, None, "10.0.0.0/8\n", "10.0.0.0/33"]
    )
    def test_what_is_no_prefix_is_refused(self, held: Cloud, bad: Any) -> None:
        group = held.alice.make("address_group")
        before = held.rows()
        answer = held.alice.refused("address_group", addresses=[bad])
        assert answer[0] == 400
        assert "addresses" in answer[2]
        path = f"address-groups/{group['id']}/add_addresses"
        bodies = [{"addresses": [bad]}, {"addresses": bad}, {}, {"address": ["10.0.0.0/8"]}]
        # As Neutron takes it, null is a list without an address.
        for body in (each for each in bodies if each != {"addresses": None}):
            assert refusal(held.alice.call("PUT", path, body))[0] == 400
        assert held.rows() == before


def test_quotas_bound_a_project_whoever_creates(
    held: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = held.alice.make("security_group", name="web")
    monkeypatch.setattr(quota, "QUOTA", dict.fromkeys(quota.QUOTA, 8))
    monkeypatch.setattr(quota, "ADDRESSES", 2)
    for _ in range(6):
        held.alice.make("address_group", addresses=[])
    rules = [
        {"security_group_id": group["id"], "direction": "ingress", "protocol": n} for n in (1, 2, 3)
    ]
    many = {"security_group_rules": rules}
    assert refusal(held.alice.call("POST", "security-group-rules", many))[1] == "OverQuota"
    assert refusal(held.admin.call("POST", "security-group-rules", many))[1] == "OverQuota"
    three = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert held.alice.refused("address_group", addresses=three)[1] == "OverQuota"
    made = held.alice.make("address_group", addresses=three[:2])
    path = f"address-groups/{made['id']}/add_addresses"
    answer = refusal(held.alice.call("PUT", path, {"addresses": three[2:]}))
    assert answer[1] == "OverQuota"
    monkeypatch.setattr(
        quota, "QUOTA", dict.fromkeys(quota.QUOTA, 8) | {Noun.SECURITY_GROUP_RULE: 100}
    )
    for n in range(6):
        held.alice.make("security_group", name=f"g{n}")
    assert held.alice.refused("security_group", name="more")[1] == "OverQuota"


def test_a_host_elsewhere_is_told_the_same(held: Cloud, network: dict[str, Any]) -> None:
    """The feed over HTTP says what the feed in one process says."""
    addresses = held.alice.make("address_group", addresses=["192.0.2.0/24"])
    web = held.alice.make("security_group", name="web")
    make_rule(held, web, remote_address_group_id=addresses["id"])
    make_rule(held, web, protocol="tcp", port_range_min=0, port_range_max=80)
    make_rule(held, web, protocol="icmp", port_range_min=8)
    groups = [web["id"]]
    held.alice.make("port", network_id=network["id"], security_groups=groups)
    held.alice.make("port", network_id=network["id"])
    with Client(Endpoint(str(held.http.base_url), "agent", "agent")) as client:
        far, near = HttpFeed(client, "h1"), StoreFeed(held.store, "h1")
        update = far.next("", 0, 0)
        assert update == near.next("", 0, 0)
        assert update is not None
        assert update.sets[addresses["id"]].complete
        held.alice.make("port", network_id=network["id"])
        assert far.next("", update.revision, 0) == near.next("", update.revision, 0)


@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning")
class TestSdk:
    @pytest.fixture
    def sdk(self, held: Cloud) -> Iterator[Connection]:
        yield from connect(held, "alice")

    def test_groups_rules_and_address_groups_live_and_die(
        self, sdk: Connection, network: dict[str, Any]
    ) -> None:
        addresses = sdk.network.create_address_group(name="office", addresses=["192.0.2.0/24"])
        addresses = sdk.network.add_addresses_to_address_group(addresses, ["198.51.100.0/24"])
        assert addresses.addresses == ["192.0.2.0/24", "198.51.100.0/24"]
        addresses = sdk.network.remove_addresses_from_address_group(addresses, ["192.0.2.0/24"])
        assert addresses.addresses == ["198.51.100.0/24"]
        web = sdk.network.create_security_group(name="web", description="d")
        assert web.stateful
        rule = sdk.network.create_security_group_rule(
            security_group_id=web.id,
            direction="ingress",
            ether_type="IPv4",
            protocol="tcp",
            port_range_min=443,
            port_range_max=443,
            remote_address_group_id=addresses.id,
        )
        assert (rule.protocol, rule.port_range_min) == ("tcp", 443)
        assert sdk.network.find_security_group("web").id == web.id
        port = sdk.network.create_port(network_id=network["id"], security_groups=[web.id])
        assert port.security_group_ids == [web.id]
        with pytest.raises(openstack.exceptions.ConflictException):
            sdk.network.delete_security_group(web)
        sdk.network.update_port(port, security_groups=[])
        sdk.network.delete_security_group_rule(rule)
        assert sdk.network.update_security_group(web, name="www").name == "www"
        sdk.network.delete_security_group(web)
        sdk.network.delete_address_group(addresses)
        assert [each.name for each in sdk.network.security_groups()] == ["default"]

    def test_the_cloud_layer_takes_us_for_a_cloud_with_groups(self, sdk: Connection) -> None:
        assert [each.name for each in sdk.search_security_groups()] == ["default"]
        group = sdk.create_security_group("db", "databases")
        rule = sdk.create_security_group_rule(
            group.id, port_range_min=5432, port_range_max=5432, protocol="tcp"
        )
        assert rule.direction == "ingress"
        assert sdk.delete_security_group("db")
