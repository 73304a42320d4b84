"""Our own resources: IP groups, drops, hosts, waiting, the feed over HTTP."""

import threading
import time
from ipaddress import ip_address
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.api.cloud import Cloud, refusal

from vifguard.client.client import Client
from vifguard.client.endpoint import Endpoint
from vifguard.client.feed import HttpFeed
from vifguard.feed.codec import decode, encode
from vifguard.feed.messages import (
    AddressClaim,
    AdoptedBridge,
    Claim,
    ConnectionTable,
    Detection,
    DropCount,
    DropRecord,
    HeldDevice,
    PortReport,
    Report,
    ReportAnswer,
    Update,
    WiringReport,
)
from vifguard.model.address import Mac, parse_address
from vifguard.model.guard import Guard
from vifguard.model.port import PortState
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import ethernet, ipv6, rs
from vifguard.store.feed import StoreFeed

JSON = {"content-type": "application/json"}


@pytest.fixture
def shared(cloud: Cloud) -> dict[str, Any]:
    cloud.has_host()
    return cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)


@pytest.fixture
def members(cloud: Cloud, shared: dict[str, Any]) -> list[dict[str, Any]]:
    return [cloud.alice.make("port", network_id=shared["id"]) for _ in range(2)]


class TestIpGroups:
    def test_a_tenant_groups_its_ports_on_a_shared_network(
        self, cloud: Cloud, shared: dict[str, Any], members: list[dict[str, Any]]
    ) -> None:
        group = cloud.alice.make(
            "ip_group",
            name="web",
            network_id=shared["id"],
            members=[port["id"] for port in members],
            addresses=[
                {"subnet_id": shared["subnets"][0]},
                {"ip_address": "10.0.0.100"},
                {"subnet_id": shared["subnets"][1], "ip_address": "2001:db8::100"},
            ],
        )
        found = [each["ip_address"] for each in group["addresses"]]
        assert found == ["10.0.0.4", "10.0.0.100", "2001:db8::100"]
        assert group["holders"] == []
        update = cloud.store.update_after("h1", 0)
        assert update is not None
        for port in update.ports:
            assert {str(address) for address in port.policy.watched} == set(found)
        assert (
            cloud.bob.make("port", network_id=shared["id"])["fixed_ips"][0]["ip_address"]
            not in found
        )
        changed = cloud.alice.change(
            "ip_group", group["id"], members=[members[0]["id"]], addresses=group["addresses"][:1]
        )
        assert changed["members"] == [members[0]["id"]]
        assert changed["addresses"] == group["addresses"][:1]
        assert cloud.alice.call("DELETE", f"ip-groups/{group['id']}").status_code == 204
        assert cloud.alice.get("ip-groups") == {"ip_groups": []}

    def test_outside_the_pools_are_the_providers_machines(
        self, cloud: Cloud, members: list[dict[str, Any]], shared: dict[str, Any]
    ) -> None:
        pools = [{"start": "10.0.0.50", "end": "10.0.0.99"}]
        cloud.admin.change("subnet", shared["subnets"][0], allocation_pools=pools)
        outside = {"network_id": shared["id"], "addresses": [{"ip_address": "10.0.0.200"}]}
        status, _, message = cloud.alice.refused("ip_group", **outside)
        assert status == 403
        assert "10.0.0.200" in message
        assert cloud.admin.make("ip_group", **outside)
        assert members

    def test_members_are_ones_own_ports_of_the_network(
        self, cloud: Cloud, shared: dict[str, Any], members: list[dict[str, Any]]
    ) -> None:
        bobs = cloud.bob.make("port", network_id=shared["id"])
        other = cloud.alice.network("10.0.0.0/24")
        elsewhere = cloud.alice.make("port", network_id=other["id"])
        before = cloud.rows()
        usual = {"network_id": shared["id"], "addresses": [{"subnet_id": shared["subnets"][0]}]}
        assert cloud.alice.refused("ip_group", **usual, members=[bobs["id"]])[1] == "PortNotFound"
        assert cloud.alice.refused("ip_group", **usual, members=[elsewhere["id"]])[0] == 400
        assert cloud.admin.refused("ip_group", **usual, members=[bobs["id"]])[0] == 400
        assert (
            cloud.alice.refused(
                "ip_group", **usual, members=[members[0]["id"]], pinned_port_id=members[1]["id"]
            )[0]
            == 400
        )
        assert cloud.rows() == before

    def test_the_holder_and_the_history_are_shown(
        self, cloud: Cloud, shared: dict[str, Any], members: list[dict[str, Any]]
    ) -> None:
        group = cloud.alice.make(
            "ip_group",
            network_id=shared["id"],
            members=[port["id"] for port in members],
            addresses=[{"ip_address": "10.0.0.100"}],
        )
        address = parse_address("10.0.0.100")
        for at, port in enumerate(members):
            claim = Claim(port["id"], address, Mac.parse(port["mac_address"]), 1000.0 + at)
            cloud.store.record_report(Report("h1", claims=(claim,)))
        shown = cloud.alice.get(f"ip-groups/{group['id']}")["ip_group"]
        assert shown["holders"] == [
            {"ip_address": "10.0.0.100", "port_id": members[1]["id"], "since": 1001.0}
        ]
        events = cloud.alice.get(f"ip-groups/{group['id']}/events")["events"]
        assert events[-1] == {
            "at": 1001.0,
            "kind": "move",
            "ip_address": "10.0.0.100",
            "from_port_id": members[0]["id"],
            "to_port_id": members[1]["id"],
            "gap_seconds": 1.0,
        }

    def test_a_deleted_member_is_no_member(
        self, cloud: Cloud, shared: dict[str, Any], members: list[dict[str, Any]]
    ) -> None:
        ids = sorted(port["id"] for port in members)
        group = cloud.alice.make("ip_group", network_id=shared["id"], members=ids)
        cloud.alice.call("DELETE", f"ports/{ids[0]}")
        assert cloud.alice.get(f"ip-groups/{group['id']}")["ip_group"]["members"] == ids[1:]

    def test_on_its_own_network_the_owner_shares_the_gateways_address(self, cloud: Cloud) -> None:
        cloud.has_host()
        network = cloud.alice.network("192.168.0.0/24")
        address = [{"ip_address": "192.168.0.1"}]
        assert cloud.alice.make("ip_group", network_id=network["id"], addresses=address)
        other = cloud.alice.network("192.168.0.0/24")
        router = cloud.alice.make("port", network_id=other["id"], fixed_ips=address)
        assert router["fixed_ips"][0]["ip_address"] == "192.168.0.1"


class TestWaiting:
    def test_it_ends_with_the_report(self, cloud: Cloud, members: list[dict[str, Any]]) -> None:
        answers: list[Any] = []
        where = f"ports/{members[0]['id']}/wait"
        waiting = threading.Thread(
            target=lambda: answers.append(cloud.alice.get(where, timeout="50"))
        )
        waiting.start()
        cloud.enforces(members[0], revision=1)
        cloud.enforces(members[0])
        waiting.join(60)
        assert answers[0]["port"]["status"] == "ACTIVE"

    def test_in_vain_it_says_why(self, cloud: Cloud, members: list[dict[str, Any]]) -> None:
        where = f"ports/{members[0]['id']}/wait"
        status, kind, message = refusal(cloud.admin.call("GET", where, params={"timeout": "0.01"}))
        assert (status, kind) == (408, "PortNotEnforced")
        assert "h1 has not reported" in message
        cloud.enforces(members[0], state=PortState.ABSENT, reason="there is no interface tapX")
        answer = cloud.admin.call("GET", where, params={"timeout": "0"})
        assert "no interface tapX" in refusal(answer)[2]

    def test_held_closed_is_not_enforced_unless_that_is_wanted(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        where = f"ports/{members[0]['id']}/wait"
        cloud.enforces(members[0], state=PortState.HELD_CLOSED, reason="the kernel lacks x")
        assert "lacks x" in refusal(cloud.admin.call("GET", where, params={"timeout": "0"}))[2]
        down = cloud.alice.change("port", members[0]["id"], admin_state_up=False)
        cloud.enforces(down, state=PortState.HELD_CLOSED)
        port = cloud.alice.get(where, timeout="0")["port"]
        assert (port["status"], port["status_reason"]) == (
            "DOWN",
            "the port's admin_state_up is false",
        )

    def test_a_port_that_is_deleted_ends_it(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        answers: list[Any] = []
        where = f"ports/{members[0]['id']}"
        hearing = threading.Event()
        original = cloud.store.reports.subscribe

        def hear(topic: str, ear: Any) -> Any:
            hearing.set()
            return original(topic, ear)

        cloud.store.reports.subscribe = hear  # type: ignore[method-assign]
        waiting = threading.Thread(
            target=lambda: answers.append(
                cloud.alice.call("GET", where + "/wait", params={"timeout": "50"})
            )
        )
        waiting.start()
        assert hearing.wait(30)
        cloud.alice.call("DELETE", where)
        waiting.join(60)
        assert refusal(answers[0])[1] == "PortNotFound"

    def test_many_wait_and_the_server_answers(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        where = f"ports/{members[0]['id']}/wait"
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(cloud.alice.get(where, timeout="50")))
            for _ in range(60)
        ]
        for thread in threads:
            thread.start()
        assert cloud.alice.get("networks")["networks"]
        cloud.enforces(members[0])
        for thread in threads:
            thread.join(60)
        assert len(answers) == 60


class TestFeed:
    def test_updates_and_reports_cross_the_socket(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        answer = cloud.agent.call("GET", "feed/h1", params={"after": "0", "timeout": "1"})
        update = decode(Update, answer.json())
        assert update == cloud.store.update_after("h1", 0)
        after = {"after": str(update.revision), "timeout": "0"}
        assert cloud.agent.call("GET", "feed/h1", params=after).status_code == 204
        reports = tuple(
            PortReport(port.policy.port_id, port.revision, PortState.ENFORCED)
            for port in update.ports
        )
        sent = encode(Report("h1", ports=reports))
        answer = cloud.agent.call("POST", "feed/h1/reports", sent)
        assert decode(ReportAnswer, answer.json()) == ReportAnswer()
        assert cloud.alice.get(f"ports/{members[0]['id']}")["port"]["status"] == "ACTIVE"

    def test_the_agents_own_client_speaks_it(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        endpoint = Endpoint(str(cloud.http.base_url).rstrip("/"), "agent", "agent")
        with Client(endpoint) as client:
            feed = HttpFeed(client, "h1")
            update = feed.next("", 0, 1 / 3)
            assert update is not None
            assert update == StoreFeed(cloud.store, "h1").next("", 0, 0)
            assert feed.next("", update.revision, 1e-5) is None
            enforced = PortReport(members[0]["id"], update.revision, PortState.ENFORCED)
            feed.report(Report("h1", ports=(enforced,)))
        assert cloud.alice.get(f"ports/{members[0]['id']}")["port"]["status"] == "ACTIVE"

    def test_a_change_ends_the_poll(self, cloud: Cloud, members: list[dict[str, Any]]) -> None:
        update = cloud.store.update_after("h1", 0)
        assert update is not None
        found: list[Any] = []
        query = {"after": str(update.revision), "timeout": "50"}
        polling = threading.Thread(
            target=lambda: found.append(cloud.agent.call("GET", "feed/h1", params=query))
        )
        polling.start()
        cloud.admin.change("port", members[0]["id"], guard_profile="mac")
        polling.join(60)
        delta = decode(Update, found[0].json())
        assert [port.policy.port_id for port in delta.ports] == [members[0]["id"]]

    @pytest.mark.parametrize(
        "report",
        [
            {},
            {"host": "h2"},
            {"host": "h1", "ports": [{"port_id": "x", "revision": "1", "state": "enforced"}]},
            {"host": "h1", "ports": [{"port_id": "x", "revision": 1, "state": "open"}]},
            {"host": "h1", "claims": [{"port_id": "x", "address": "::ffff:1.2.3.4"}]},
            {"host": "h1", "more": 1},
            {"host": "h1", "ports": None},
            {"host": "h1", "about": "x"},
            {"host": "h1", "drops": [{"head": "xyz"}]},
        ],
    )
    def test_junk_is_no_report(self, cloud: Cloud, report: Any) -> None:
        before = cloud.rows()
        assert refusal(cloud.agent.call("POST", "feed/h1/reports", report))[0] == 400
        assert cloud.rows() == before

    def test_a_host_speaks_for_its_own_ports(
        self, cloud: Cloud, members: list[dict[str, Any]]
    ) -> None:
        cloud.enforces(members[0], host="h2")
        assert cloud.alice.get(f"ports/{members[0]['id']}")["port"]["status"] == "DOWN"


def test_drops_are_shown_with_the_reason(cloud: Cloud, members: list[dict[str, Any]]) -> None:
    port = members[0]["id"]
    head = bytes.fromhex("ffffffffffff02000000000188b5") + bytes(46)
    drop = DropRecord(port, 5.5, Direction.FROM_GUEST, Guard.MAC, Reason.SOURCE_MAC, 60, head)
    count = DropCount(port, Direction.FROM_GUEST, Guard.MAC, 17)
    cloud.store.record_report(Report("h1", drops=(drop,), counts=(count,)))
    shown = cloud.alice.get(f"ports/{port}/drops")
    assert shown == cloud.admin.get("drops")
    record = shown["drops"][0]
    assert record | {"decoded": ""} == {
        "port_id": port,
        "at": 5.5,
        "direction": "from-guest",
        "guard": "mac",
        "reason": "source-mac",
        "text": "the Ethernet source is not the port's",
        "length": 60,
        "head": head.hex(),
        "decoded": "",
        "hint": "",
    }
    assert "02:00:00:00:00:01" in record["decoded"]
    assert shown["counts"] == [
        {"port_id": port, "direction": "from-guest", "guard": "mac", "frames": 17}
    ]
    kind = {"records": 1, "first_at": 5.5, "last_at": 5.5}
    assert shown["kinds"] == [
        {name: record[name] for name in ("port_id", "direction", "guard", "reason", "text")} | kind
    ]
    nothing = {"drops": [], "kinds": [], "counts": []}
    assert cloud.alice.get(f"ports/{members[1]['id']}/drops") == nothing
    # A project sees what its own ports dropped, and nothing of another's.
    assert cloud.alice.get("drops") == shown
    assert cloud.bob.get("drops") == nothing


@pytest.fixture
def dropped(cloud: Cloud, members: list[dict[str, Any]]) -> str:
    """A port that has dropped three frames, told apart by guard, direction, reason and time."""
    port: str = members[0]["id"]
    kinds = (
        (1.0, Direction.FROM_GUEST, Guard.MAC, Reason.SOURCE_MAC),
        (2.5, Direction.TO_GUEST, Guard.SECURITY_GROUPS, Reason.NOT_ALLOWED),
        (3.0, Direction.FROM_GUEST, Guard.ARP, Reason.ARP_SENDER_ADDRESS),
    )
    records = tuple(DropRecord(port, *each, 60, bytes(60)) for each in kinds)
    counts = tuple(DropCount(port, way, guard, 9) for _, way, guard, _ in kinds)
    cloud.store.record_report(Report("h1", drops=records, counts=counts))
    return port


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("guard=mac", [1.0]),
        ("guard=mac&guard=arp", [1.0, 3.0]),
        ("direction=to-guest", [2.5]),
        ("reason=not-allowed", [2.5]),
        ("guard=mac&reason=not-allowed", []),
        ("since=2.5", [2.5, 3.0]),
        ("since=2.5&direction=from-guest", [3.0]),
    ],
)
def test_drops_are_narrowed(cloud: Cloud, dropped: str, query: str, at: list[float]) -> None:
    for path in ("drops", f"ports/{dropped}/drops"):
        found = cloud.alice.call("GET", f"{path}?{query}").json()
        assert [one["at"] for one in found["drops"]] == at
        assert [one["last_at"] for one in found["kinds"]] == at
        # Frames are not counted by reason or time: no count stands for what is asked.
        is_counted = "reason" not in query and "since" not in query
        assert len(found["counts"]) == (len(at) if is_counted else 0)


def test_the_latest_drops_are_shown_where_not_all_are_wanted(cloud: Cloud, dropped: str) -> None:
    found = cloud.alice.get("drops", limit=2)
    assert [one["at"] for one in found["drops"]] == [2.5, 3.0]
    assert len(found["kinds"]) == len(found["counts"]) == 3
    assert cloud.alice.get(f"ports/{dropped}/drops", limit=0)["drops"] == []


@pytest.mark.parametrize(
    "query", ["guard=firewall", "guard=", "direction=ingress", "reason=x", "since=now", "limit=-1"]
)
def test_a_word_that_no_drop_has_is_refused(cloud: Cloud, query: str) -> None:
    name, _, value = query.partition("=")
    status, kind, said = refusal(cloud.alice.call("GET", f"drops?{query}"))
    assert (status, kind) == (400, "HTTPBadRequest")
    assert name in said
    assert value in said


def test_an_interface_of_a_host_is_one_ports(cloud: Cloud, shared: dict[str, Any]) -> None:
    def on(interface: str, host: str = "node-1") -> dict[str, Any]:
        profile = {"binding:profile": {"interface": interface}} if interface else {}
        return {"network_id": shared["id"], "binding:host_id": host} | profile

    first = cloud.admin.make("port", **on("tap7"))
    status, kind, message = cloud.admin.refused("port", **on("tap7"))
    assert (status, kind) == (409, "InterfaceInUse")
    assert first["id"] in message
    other = cloud.admin.make("port", **on("tap7", "node-2"))
    assert cloud.admin.refused("port", other["id"], **{"binding:host_id": "node-1"})[0] == 409
    cloud.admin.change("port", first["id"], **{"binding:profile": {}})
    cloud.admin.change("port", other["id"], **{"binding:host_id": "node-1"})


def test_hosts_are_shown_to_the_operator(cloud: Cloud) -> None:
    cloud.has_host("h1", refused_guards=("ovs: storm: it cannot count",))
    (host,) = cloud.admin.get("hosts")["hosts"]
    assert host | {"seen_at": 0} == {
        "id": "h1",
        "name": "h1",
        "alive": True,
        "kernel": "6.1.0",
        "driver": "ebpf",
        "features": ["tcx"],
        "missing": [],
        "quarantine": ["x"],
        "isolation": True,
        "refused_guards": ["ovs: storm: it cannot count"],
        "connections": None,
        "seen_at": 0,
        "bridges": [],
        "held": [],
        "degraded": [],
        "lost": {},
        "instance": "",
    }
    assert cloud.admin.get("hosts/h1")["host"]["name"] == "h1"
    assert refusal(cloud.admin.call("GET", "hosts/h2"))[1] == "HostNotFound"


@pytest.mark.parametrize("name", ["quarantine", "floor"])
def test_a_list_of_hosts_knows_the_former_name_of_the_quarantine(cloud: Cloud, name: str) -> None:
    cloud.has_host("h1")
    wanted = {name: "x", "fields": name, "sort_key": name}
    assert cloud.admin.get("hosts", **wanted)["hosts"] == [{"quarantine": ["x"]}]
    assert cloud.admin.get("hosts", **{name: "y"})["hosts"] == []


def test_what_a_host_itself_has_on_a_network_is_nobodys(cloud: Cloud) -> None:
    cloud.has_host("h1")
    provider = {"provider:network_type": "flat", "provider:physical_network": "lan"}
    network = cloud.admin.make("network", name="lan", shared=True, **provider)
    cloud.admin.make(
        "subnet", network_id=network["id"], cidr="192.168.50.0/24", gateway_ip="192.168.50.1"
    )
    bridge = AdoptedBridge(
        "br0",
        "lan",
        (ip_address("192.168.50.2"), ip_address("192.168.50.3"), ip_address("fd00::2")),
        ("vnet7", "vnet8"),
        5,
        ("vnet8",),
    )
    said = WiringReport((bridge,), (HeldDevice("vg0-0", 3),), ConnectionTable(524_288, 25))
    cloud.store.record_report(Report("h1", wiring=said))
    shown = cloud.admin.get("hosts/h1")["host"]
    assert shown["bridges"] == [
        {
            "name": "br0",
            "physical": "lan",
            "addresses": ["192.168.50.2", "192.168.50.3", "fd00::2"],
            "unguarded": ["vnet7", "vnet8"],
            "dropped": 5,
            "forwarding": ["vnet8"],
        }
    ]
    assert shown["held"] == [{"device": "vg0-0", "dropped": 3}]
    assert shown["connections"] == {"room": 524_288, "used_percent": 25}
    metrics = cloud.http.get("/metrics").text
    for forwarding in ("yes", "no"):
        labels = f'bridge="br0",forwarding="{forwarding}",host="h1"'
        assert f"vifguard_unguarded_members{{{labels}}} 1.0" in metrics
    assert 'vifguard_held_frames{by="members",host="h1"} 5.0' in metrics
    assert 'vifguard_held_frames{by="quarantine",host="h1"} 3.0' in metrics
    assert 'vifguard_connections_room{host="h1"} 524288.0' in metrics
    assert 'vifguard_connections_used_ratio{host="h1"} 0.25' in metrics
    port = cloud.alice.make("port", network_id=network["id"])
    assert port["fixed_ips"][0]["ip_address"] == "192.168.50.4"
    wishes = {"network_id": network["id"], "fixed_ips": [{"ip_address": "192.168.50.3"}]}
    status, _, why = cloud.admin.refused("port", **wishes)
    assert status == 409
    assert "host h1's own" in why
    addresses = [{"ip_address": "192.168.50.2"}]
    group = {"network_id": network["id"], "members": [port["id"]], "addresses": addresses}
    assert cloud.alice.refused("ip_group", **group)[0] == 409
    cloud.store.record_report(Report("h1", wiring=WiringReport()))
    assert cloud.admin.make("port", **wishes)["fixed_ips"][0]["ip_address"] == "192.168.50.3"


def test_a_host_has_no_more_than_a_few_addresses_of_a_network(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """F13.5: an agent that reported 253 took them from the pools of every network there."""
    cloud.has_host("h1")
    provider = {"provider:network_type": "flat", "provider:physical_network": "lan"}
    network = cloud.admin.make("network", name="lan", shared=True, **provider)
    cloud.admin.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", gateway_ip=None)
    first = cloud.alice.make("port", network_id=network["id"])
    assert first["fixed_ips"][0]["ip_address"] == "10.0.0.1"
    every = [ip_address(f"10.0.0.{number}") for number in range(1, 255)]
    bridges = tuple(
        AdoptedBridge(name, "lan", tuple(some))
        for name, some in {"br0": every[:127], "br1": every[127:]}.items()
    )
    cloud.store.record_report(Report("h1", wiring=WiringReport(bridges)))
    second = cloud.alice.make("port", network_id=network["id"])
    assert second["fixed_ips"][0]["ip_address"] == "10.0.0.17"
    (line,) = (each.getMessage() for each in caplog.records if "itself has" in each.getMessage())
    assert "host h1 itself has 239 addresses that do not count" in line
    listed = [f"10.0.0.{number}" for number in range(17, 26)]
    named = ", ".join([f"10.0.0.1 of {first['id']}", *listed])
    assert line.endswith(f": {named} and 229 more")


def test_a_pool_that_hosts_emptied_names_their_addresses_to_the_operator(cloud: Cloud) -> None:
    """One host's 14 addresses emptied a /28, and nothing said so."""
    cloud.has_host("h1")
    provider = {"provider:network_type": "flat", "provider:physical_network": "lan"}
    network = cloud.admin.make("network", name="lan", shared=True, **provider)
    cloud.admin.make("subnet", network_id=network["id"], cidr="192.0.2.0/28", gateway_ip=None)
    every = tuple(ip_address(f"192.0.2.{number}") for number in range(1, 15))
    report = WiringReport((AdoptedBridge("br0", "lan", every),))
    cloud.store.record_report(Report("h1", wiring=report))
    status, _, why = cloud.admin.refused("port", network_id=network["id"])
    assert status == 409
    named = ", ".join(f"192.0.2.{number} of h1" for number in range(1, 11))
    assert why.endswith(f"are empty. 14 of their addresses are hosts' own: {named} and 4 more.")
    status, _, why = cloud.alice.refused("port", network_id=network["id"])
    assert status == 409
    assert why.endswith("are empty. 14 of their addresses are hosts' own.")


def test_a_guard_that_is_always_on_is_named_as_users_know_it(cloud: Cloud) -> None:
    cloud.has_host("h1")
    network = cloud.alice.network()
    _, _, why = cloud.alice.refused("port", network_id=network["id"], guards=["host", "mac"])
    assert "Reason: host is always on and cannot be selected" in why


def test_addresses_of_a_host_that_do_not_count_are_logged_once(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of the reports of one host wrote 2.3 MB into the server's log."""
    cloud.has_host("h1")

    def logged(many: int) -> int:
        caplog.clear()
        every = (ip_address(f"2001:db8::{number:x}") for number in range(1, many + 1))
        bridge = AdoptedBridge("br0", "lan", tuple(every))
        cloud.store.record_report(Report("h1", wiring=WiringReport((bridge,))))
        assert len(caplog.text) < 1000
        return caplog.text.count("host h1 itself has")

    assert [logged(many) for many in (1000, 1000, 999, 1000, 16)] == [1, 0, 0, 1, 0]


def test_a_silent_host_has_no_active_port_and_can_be_forgotten(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O B10, A4: its ports said ACTIVE for 110 s, and nothing took it away."""
    cloud.has_host("h1")
    network = cloud.admin.network("10.0.0.0/24")
    bound = {"network_id": network["id"], "binding:host_id": "h1"}
    port = cloud.admin.make("port", **bound, security_groups_enabled=False)
    cloud.enforces(port)

    def shown() -> list[tuple[str, str]]:
        one = cloud.admin.get(f"ports/{port['id']}")["port"]
        (listed,) = cloud.admin.get("ports")["ports"]
        return [(each["status"], each["status_reason"]) for each in (one, listed)]

    assert shown() == [("ACTIVE", "")] * 2
    assert refusal(cloud.admin.call("DELETE", "hosts/h1"))[:2] == (409, "HostInUse")
    beats = cloud.store.heartbeats
    monkeypatch.setattr(beats, "_monotonic", lambda: time.monotonic() + 11)
    for status, why in shown():
        assert status == "DOWN"
        assert why.startswith("host h1 has been silent since 2")
    assert cloud.admin.get("hosts/h1")["host"]["alive"] is False
    assert 'vifguard_ports{status="DOWN"} 1.0' in cloud.http.get("/metrics").text
    assert refusal(cloud.admin.call("GET", f"ports/{port['id']}/wait?timeout=0.01"))[0] == 408
    (agent,) = cloud.admin.get("agents")["agents"]
    for path in ("hosts/h1", f"agents/{agent['id']}"):
        status, kind, message = refusal(cloud.admin.call("DELETE", path))
        assert (status, kind) == (409, "HostInUse")
        assert "1 port is on host h1" in message
    cloud.has_host("h2")
    (other,) = cloud.admin.get("agents", host="h2")["agents"]
    assert cloud.admin.call("DELETE", f"agents/{other['id']}").status_code == 409
    monkeypatch.setattr(beats, "_monotonic", lambda: time.monotonic() + 22)
    assert cloud.admin.call("DELETE", f"agents/{other['id']}").status_code == 204
    assert cloud.admin.call("DELETE", "hosts/h1?force=true").status_code == 204
    assert cloud.admin.get("hosts") == {"hosts": []}


def resolved(schema: Any, document: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "components": document["components"]}


def test_what_is_published_is_what_is_answered(
    cloud: Cloud, shared: dict[str, Any], members: list[dict[str, Any]]
) -> None:
    """Each answer fits the published schema, and the schema is a schema."""
    document = cloud.http.get("/openapi.json").json()
    group = cloud.alice.make(
        "ip_group",
        network_id=shared["id"],
        members=[members[0]["id"]],
        addresses=[{"subnet_id": shared["subnets"][0]}],
    )
    cloud.enforces(cloud.alice.get(f"ports/{members[0]['id']}")["port"])
    paths = {
        "/v2.0/networks": "networks",
        "/v2.0/networks/{network_id}": f"networks/{shared['id']}",
        "/v2.0/subnets": "subnets",
        "/v2.0/subnets/{subnet_id}": f"subnets/{shared['subnets'][0]}",
        "/v2.0/ports": "ports",
        "/v2.0/ports/{port_id}": f"ports/{members[0]['id']}",
        "/v2.0/ports/{port_id}/wait": f"ports/{members[0]['id']}/wait",
        "/v2.0/ip-groups": "ip-groups",
        "/v2.0/ip-groups/{group_id}": f"ip-groups/{group['id']}",
        "/v2.0/hosts": "hosts",
        "/v2.0/hosts/{name}": "hosts/h1",
    }
    for path, where in paths.items():
        answer = document["paths"][path]["get"]["responses"]["200"]
        schema = resolved(answer["content"]["application/json"]["schema"], document)
        Draft202012Validator.check_schema(schema)
        for user in (cloud.admin, cloud.alice):
            if user is cloud.admin or "hosts" not in path:
                Draft202012Validator(schema).validate(user.get(where))
    error = resolved(document["components"]["schemas"]["Error"], document)
    Draft202012Validator(error).validate(cloud.alice.call("GET", "ports/x").json())


def test_what_is_published_is_what_is_accepted(cloud: Cloud, shared: dict[str, Any]) -> None:
    document = cloud.http.get("/openapi.json").json()
    body = document["paths"]["/v2.0/ports"]["post"]["requestBody"]
    schema = resolved(body["content"]["application/json"]["schema"], document)
    validator = Draft202012Validator(schema)
    good = {
        "network_id": shared["id"],
        "name": "x",
        "guards": ["mac"],
        "fixed_ips": [{"ip_address": "10.0.0.9"}],
        "storm": {"rate": 1, "burst": 1},
        "binding:host_id": "h1",
    }
    for document_sent in ({"port": good}, {"ports": [good | {"fixed_ips": []}]}):
        validator.validate(document_sent)
        assert cloud.admin.call("POST", "ports", document_sent).status_code == 201
    for bad in (
        {"port": good | {"colour": "red"}},
        {"port": good | {"status": "ACTIVE"}},
        {"port": {"name": "x"}},
        {"ports": []},
        {"port": good, "ports": [good]},
        {"port": good | {"guards": ["any"]}},
        {"port": good | {"name": "x" * 300}},
    ):
        assert not validator.is_valid(bad)
        assert cloud.admin.call("POST", "ports", bad).status_code == 400


class TestLearnedAddresses:
    """What guests chose themselves, at their ports."""

    CHOSEN = "fe80::a0b0:0:0:1"

    @pytest.fixture
    def port(self, cloud: Cloud, shared: dict[str, Any]) -> dict[str, Any]:
        return cloud.alice.make("port", network_id=shared["id"])

    def learn(self, cloud: Cloud, port: dict[str, Any], address: str) -> None:
        mine = port["id"], parse_address(address)
        claim = AddressClaim(*mine, Mac.parse(port["mac_address"]))
        assert cloud.store.record_report(Report("h1", address_claims=(claim,))).refused == ()
        cloud.store.record_report(Report("h1", detections=(Detection(*mine, unique=True),)))

    def test_a_port_shows_them_and_so_does_a_list(self, cloud: Cloud, port: dict[str, Any]) -> None:
        def shown() -> list[Any]:
            one = cloud.alice.get(f"ports/{port['id']}")["port"]
            (listed,) = cloud.alice.get("ports")["ports"]
            assert one["learned_addresses"] == listed["learned_addresses"]
            return one["learned_addresses"]

        assert shown() == []
        self.learn(cloud, port, self.CHOSEN)
        (learned,) = shown()
        assert learned.pop("since")
        assert learned == {
            "ip_address": self.CHOSEN,
            "mac_address": port["mac_address"],
            "tentative": False,
        }

    def test_its_owner_releases_one(self, cloud: Cloud, port: dict[str, Any]) -> None:
        self.learn(cloud, port, self.CHOSEN)
        path = f"ports/{port['id']}/learned-addresses/{self.CHOSEN}"
        assert refusal(cloud.bob.call("DELETE", path))[:2] == (404, "PortNotFound")
        assert cloud.alice.call("DELETE", path).status_code == 204
        assert cloud.alice.get(f"ports/{port['id']}")["port"]["learned_addresses"] == []
        gone = refusal(cloud.alice.call("DELETE", path))
        assert gone[:2] == (404, "LearnedAddressNotFound")

    @pytest.mark.parametrize("bad", [None, {}, {"link_local": 1}, {"link_local": 65, "others": 1}])
    def test_limits_that_are_none(self, cloud: Cloud, bad: object) -> None:
        cloud.has_host()
        assert cloud.admin.refused("network", learned_limits=bad)[0] == 400

    def test_limits(self, cloud: Cloud) -> None:
        cloud.has_host()
        network = cloud.admin.make("network")
        assert network["link_local"] == "learned"
        assert network["learned_limits"] == {"link_local": 1, "others": 16}
        given = {"link_local": "none", "learned_limits": {"link_local": 0, "others": 3}}
        changed = cloud.admin.change("network", network["id"], **given)
        assert {name: changed[name] for name in given} == given

    def test_the_feed_over_http_says_what_is_refused(
        self, cloud: Cloud, port: dict[str, Any]
    ) -> None:
        claim = AddressClaim(port["id"], parse_address("fe80::1"), Mac.parse(port["mac_address"]))
        report = encode(Report("h1", address_claims=(claim,)))
        answer = cloud.agent.call("POST", "feed/h1/reports", report).json()
        assert answer == {
            "refused": [{"port_id": port["id"], "address": "fe80::1", "taken": False}]
        }

    @pytest.mark.parametrize(
        ("choice", "source", "said"),
        [
            ("eui64", "fe80::a0b0:0:0:1", "link_local is eui64"),
            ("none", "fe80::a0b0:0:0:1", "link_local is none"),
            ("learned", "fe80::5eff:fe10:2030", "of MAC 02:00:5e:10:20:30, which is not"),
        ],
    )
    def test_a_drop_names_the_link_local_source_and_the_cause(
        self, cloud: Cloud, shared: dict[str, Any], port: dict[str, Any], choice: str, source: str,
        said: str,
    ) -> None:  # fmt: skip
        cloud.admin.change("network", shared["id"], link_local=choice)
        frame = ethernet(
            port["mac_address"], "33:33:00:00:00:02", ipv6(source, "ff02::2", rs(), hop_limit=255)
        )
        drop = DropRecord(
            port["id"], 1.0, Direction.FROM_GUEST, Guard.ND, Reason.ND_SOURCE, len(frame), frame
        )
        cloud.store.record_report(Report("h1", drops=(drop,)))
        (shown,) = cloud.alice.get(f"ports/{port['id']}/drops")["drops"]
        assert source in shown["hint"]
        assert said in shown["hint"]
