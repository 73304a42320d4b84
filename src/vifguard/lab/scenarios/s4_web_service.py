"""S4, two tiers: web servers that the world may reach, and a database that only they may.

Security groups decide: the world reaches port 80 of the first tier, guests with the group
`app` reach the database on the project's own backend network, and nobody asks the operator.
Groups, rules and members come and go while real clients talk; connections that a change ended
end at once, and no others do.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import partial

from vifguard.client.resource import PORT, SECURITY_GROUP_RULE
from vifguard.lab.play.session_injection import inject
from vifguard.lab.result.checks import Checks
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.services import (
    DATABASE_PORT,
    HIDDEN_PORT,
    DatabaseSession,
    PostgreSQL,
    gets,
    nginx,
)
from vifguard.lab.world.traffic import pings
from vifguard.lab.world.world import Guest, Nic, World, standing
from vifguard.lab.world.world_plan import (
    GuestPlan,
    NetworkPlan,
    NicPlan,
    SecurityGroupPlan,
    WorldPlan,
)
from vifguard.model.address import IPAddress

NAME = "s4"
TITLE = "two tiers: nginx for the world, PostgreSQL for the first tier, by security groups"

_RED, _BLUE = "red", "blue"
_LARGE = 3000
_ECHO_PORT, _DEAF_PORT = 9998, 9999
_BACKEND = ("10.77.0.0/24", "fd77::/64")
_TCP, _UDP = "tcp", "udp"


def _to(protocol: str, low: int, high: int = 0) -> dict[str, object]:
    return {"protocol": protocol, "port_range_min": low, "port_range_max": high or low}


def _at(network: str, number: int, *groups: str) -> NicPlan:
    """An interface at the same addresses on every network of that range."""
    addresses = [f"10.77.0.{number}", f"fd77::{number}"]
    body = {"fixed_ips": [{"ip_address": address} for address in addresses]}
    return NicPlan(network, body=body, security_groups=groups)


_WEB = SecurityGroupPlan("web", _RED, (_to(_TCP, 80), {"protocol": "icmp"}))
_APP = SecurityGroupPlan("app", _RED)
_PLAIN = SecurityGroupPlan("plain", _RED)
_ASKS = {**_to(_TCP, DATABASE_PORT), "remote": "app"}
_DB = SecurityGroupPlan(
    "db", _RED, (_ASKS, {**_to(_UDP, _ECHO_PORT, _DEAF_PORT), "remote": "app"}), speaks=False
)
_SHUT = SecurityGroupPlan("shut", _BLUE)

PLAN = WorldPlan(
    NAME,
    networks=(
        NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),
        NetworkPlan("backend", _BACKEND, project=_RED),
        # Another project's, with the very same addresses.
        NetworkPlan("twin", _BACKEND, project=_BLUE),
    ),
    security_groups=(_WEB, _APP, _PLAIN, _DB, _SHUT),
    guests=(
        GuestPlan(
            "www",
            _RED,
            (NicPlan("s", security_groups=("web",)), _at("backend", 11, "app")),
        ),
        GuestPlan("batch", _RED, (_at("backend", 12, "plain"),)),
        GuestPlan("intruder", _RED, (_at("backend", 13),)),
        GuestPlan("database", _RED, (_at("backend", 20, "db"),)),
        GuestPlan("stranger", _BLUE, (NicPlan("s"),)),
        GuestPlan("twin-www", _BLUE, (_at("twin", 11),)),
        GuestPlan("twin-database", _BLUE, (_at("twin", 20, "shut"),)),
    ),
)


def play(run: Run, tell: Tell) -> None:
    """Query the first tier from the world, the second from the first, and change the rules."""
    story = Checks(NAME, tell)
    run.directory.chmod(0o711)  # PostgreSQL is not root, and keeps its data there
    with standing(run, PLAN) as world:
        www, database = world.guests["www"], world.guests["database"]
        with (
            nginx(www.netns, run.directory / "nginx") as web,
            PostgreSQL(database.netns, run.directory / "postgresql") as base,
        ):
            _world_asks(story, world)
            _web_rule(story, world)
            for version in (4, 6):
                _members(story, world, version)
                _rules(story, world, version)
                _datagrams(story, world, version)
                with DatabaseSession(www.netns, database.nic.addresses[version]) as session:
                    inject(story, world, session, version)
            _agent_dies(story, world)
            web.must_run()
            base.must_run()


def _world_asks(story: Checks, world: World) -> None:
    """A client outside, and another project's guest beside the server."""
    www = world.guests["www"].nic
    asking = {"outside": world.outside_netns, "a stranger": world.guests["stranger"].netns}
    for who, inside in asking.items():
        for address in www.addresses.values():
            story.must(f"{who} gets {address}", "the page", partial(gets, inside, address))
            seen = gets(inside, address, HIDDEN_PORT)
            story.check(f"{who} gets {address}, port {HIDDEN_PORT}", expected=False, seen=seen)
    stranger = world.guests["stranger"].nic.addresses
    for version, address in www.addresses.items():
        seen = pings(world.outside_netns, address, size=_LARGE)
        story.check(f"{_LARGE} bytes in fragments, to {address}", expected=True, seen=seen)
        seen = pings(world.guests["www"].netns, stranger[version])
        story.check(f"the first tier pings {stranger[version]}", expected=True, seen=seen)


def _web_rule(story: Checks, world: World) -> None:
    """A rule more on a live port, and one less."""
    nic, outside = world.guests["www"].nic, world.outside_netns
    for version, address in nic.addresses.items():
        rule = world.let_in(_WEB, version, _to(_TCP, HIDDEN_PORT))
        world.await_enforced(nic)
        what = f"{address}, port {HIDDEN_PORT}"
        seen = gets(outside, address, HIDDEN_PORT)
        story.check(f"{what}: with a rule", expected=True, seen=seen)
        world.client(_RED).delete(SECURITY_GROUP_RULE, rule["id"])
        world.await_enforced(nic)
        seen = gets(outside, address, HIDDEN_PORT)
        story.check(f"{what}: the rule is gone", expected=False, seen=seen)


def _members(story: Checks, world: World, version: int) -> None:
    """A member comes and goes under open sessions."""
    www, batch, database = (world.guests[name] for name in ("www", "batch", "database"))
    address = database.nic.addresses[version]
    with (
        DatabaseSession(www.netns, address) as first,
        DatabaseSession(batch.netns, address) as refused,
    ):
        story.check(f"{address}: the first tier asks", expected=True, seen=first.answers())
        story.check(f"{address}: others do not", expected=False, seen=refused.answers())
        _regroup(world, batch.nic, "app")
        with DatabaseSession(batch.netns, address) as second:
            story.check(f"{address}: a new member asks", expected=True, seen=second.answers())
            _regroup(world, batch.nic, "plain")
            _over(story, world, second, f"{address}: a member no more")
            lives = first.answers()
            story.check(f"{address}: the first tier's session lives", expected=True, seen=lives)
            _regroup(world, batch.nic, "app")
            _anew(story, batch, second, address, "a member again")
            _regroup(world, batch.nic, "plain")


def _rules(story: Checks, world: World, version: int) -> None:
    """The rule goes under an open session, and comes back; the other family's stays."""
    www, database = world.guests["www"], world.guests["database"]
    client = world.client(_RED)
    addresses = database.nic.addresses
    address, other = addresses[version], addresses[10 - version]
    with DatabaseSession(www.netns, address) as ends, DatabaseSession(www.netns, other) as stays:
        for session in (ends, stays):
            story.check(f"{address}: sessions by both", expected=True, seen=session.answers())
        (rule,) = client.list(
            SECURITY_GROUP_RULE,
            security_group_id=world.security_groups["db"]["id"],
            protocol=_TCP,
            ethertype=f"IPv{version}",
        )
        client.delete(SECURITY_GROUP_RULE, rule["id"])
        world.await_enforced(database.nic)
        _over(story, world, ends, f"{address}: the rule is gone")
        story.check(f"{other}: its rule is there", expected=True, seen=stays.answers())
        world.let_in(_DB, version, _ASKS)
        world.await_enforced(database.nic)
        _anew(story, www, ends, address, "the rule is back")


def _anew(
    story: Checks, guest: Guest, over: DatabaseSession, address: IPAddress, what: str
) -> None:
    """Check that new sessions work where allowed again, and that ended ones stay over."""
    with DatabaseSession(guest.netns, address) as new:
        story.check(f"{address}: {what}: new sessions", expected=True, seen=new.answers())
    seen = over.answers()
    story.check(f"{address}: {what}: the session that ended", expected=False, seen=seen)


def _over(story: Checks, world: World, session: DatabaseSession, what: str) -> None:
    """A session's segments die at the database's port, and its answers never come."""
    nic = world.guests["database"].nic
    before = _dropped(world, nic)
    seen = session.answers()
    story.check(f"{what}: its session is answered", expected=False, seen=seen)
    story.must(f"{what}: its segments", "drop groups", lambda: _dropped(world, nic) > before)


def _dropped(world: World, nic: Nic) -> int:
    """The number of frames to and from a guest that its groups dropped, as reported so far."""
    counts = world.drops(nic)["counts"]
    return sum(int(each["frames"]) for each in counts if each["guard"] == "groups")


def _datagrams(story: Checks, world: World, version: int) -> None:
    """Datagrams in fragments, and the error about a port where nobody listens."""
    www, database = world.guests["www"], world.guests["database"]
    address = database.nic.addresses[version]
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    data = bytes(range(256)) * (_LARGE // 256)

    def opened() -> socket.socket:
        return socket.socket(family, socket.SOCK_DGRAM)

    with netns.within(database.netns, opened) as server, netns.within(www.netns, opened) as client:
        server.bind(("", _ECHO_PORT))
        for each in (server, client):
            each.settimeout(5)
        client.connect((str(address), _ECHO_PORT))
        client.send(data)
        received, peer = server.recvfrom(1 << 16)
        server.sendto(received, peer)
        echoed = client.recv(1 << 16)
        story.check(f"{len(data)} bytes to {address} and back", len(data), len(echoed))
        client.connect((str(address), _DEAF_PORT))
        client.send(b"anybody there?")
        story.check(f"{address}: nobody listens", "ConnectionRefusedError", _received(client))


def _received(client: socket.socket) -> str:
    try:
        return client.recv(1 << 16).hex()
    except OSError as error:
        return type(error).__name__


def _agent_dies(story: Checks, world: World) -> None:
    """Sessions outlive the agent, and its next life."""
    www, database = world.guests["www"], world.guests["database"]
    with (
        DatabaseSession(www.netns, database.nic.addresses[4]) as four,
        DatabaseSession(www.netns, database.nic.addresses[6]) as six,
    ):
        sessions = (four, six)
        story.check("sessions before the agent dies", (True, True), _answers(sessions))
        world.server.kill()
        story.check("sessions after it died", (True, True), _answers(sessions))
        world.server.start()
        world.await_enforced()
        story.check("sessions when it is back", (True, True), _answers(sessions))
        seen = gets(world.outside_netns, _web_address(world))
        story.check("new connections when it is back", expected=True, seen=seen)


def _answers(sessions: Iterable[DatabaseSession]) -> tuple[bool, ...]:
    return tuple(session.answers() for session in sessions)


def _web_address(world: World) -> IPAddress:
    return world.guests["www"].nic.addresses[4]


def _regroup(world: World, nic: Nic, group: str) -> None:
    """Give a port another group, and wait until it and the database's port are enforced."""
    groups = [world.security_groups[group]["id"]]
    world.client(_RED).update(PORT, nic.port_id, {"security_groups": groups})
    world.await_enforced(nic, world.guests["database"].nic)
