"""Rules and members in the kernel: what a packet meets when they come, go, or do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.enforce.guarded_port import nowhere, uuid_of
from tests.semantics.guarded import GUARDED
from tests.semantics.world import MAC_A

from vifguard.enforce.driver.protocol import Attachment, RulesetChange
from vifguard.enforce.ebpf.driver import EbpfDriver
from vifguard.model.address import Mac, parse_network
from vifguard.model.policy import PortPolicy
from vifguard.model.security_group import PortRange, Rule, SetChange
from vifguard.model.verdict import Direction, Reason
from vifguard.packet import build

pytestmark = pytest.mark.kernel
IN, OUT = Direction.TO_GUEST, Direction.FROM_GUEST
GUEST = MAC_A
OTHER = Mac.parse("02:00:00:00:00:0b")
NEAR, FAR = 2, 3


class Host:
    """Two ports of equal addresses on interfaces of a private driver."""

    def __init__(self, driver: EbpfDriver) -> None:
        self.driver = driver
        self.said: Mapping[int, str] = {}

    def say(
        self,
        groups: Mapping[str, list[Rule]],
        sets: Mapping[str, list[str]] | None = None,
        *,
        complete: bool = True,
    ) -> frozenset[str]:
        found = {
            name: SetChange(complete=True, added=frozenset(map(parse_network, each)))
            for name, each in (sets or {}).items()
        }
        rules = {name: frozenset(each) for name, each in groups.items()}
        return self.driver.load_ruleset(RulesetChange(complete, rules, found))

    def change_set(self, name: str, added: list[str], removed: list[str]) -> None:
        more, less = (frozenset(map(parse_network, each)) for each in (added, removed))
        change = SetChange(complete=False, added=more, removed=less)
        self.driver.load_ruleset(RulesetChange(complete=False, groups={}, sets={name: change}))

    def ports(self, **groups: list[str]) -> None:
        wanted = self.driver.render(
            Attachment(policy(index, groups[name]), index, reversed_hooks=False, revision=1)
            for name, index in (("near", NEAR), ("far", FAR))
            if name in groups
        )
        self.said = wanted.refused
        change = self.driver.diff(wanted, self.driver.observe(frozenset({NEAR, FAR})))
        if change is not None:
            self.driver.apply(change)

    def asked(self, port: int, source: str = "10.0.0.11", at: int = NEAR) -> Reason | None:
        packet = build.ipv4(source, "10.0.0.10", build.udp(4000, port))
        return self._say(IN, build.ethernet(OTHER, GUEST, packet), at)

    def answers(self, port: int, to: str = "10.0.0.11", at: int = NEAR) -> Reason | None:
        packet = build.ipv4("10.0.0.10", to, build.udp(port, 4000))
        return self._say(OUT, build.ethernet(GUEST, OTHER, packet), at)

    def _say(self, direction: Direction, frame: bytes, at: int) -> Reason | None:
        dropped = self.driver.test(direction, frame, at)
        return dropped.reason if dropped else None


def policy(index: int, groups: list[str]) -> PortPolicy:
    return replace(GUARDED, port_id=uuid_of(index), security_groups=frozenset(groups))


def udp(port: int, remote: str | None = None) -> Rule:
    there = parse_network(remote) if remote and "/" in remote else remote
    return Rule(IN, 4, 17, ports=PortRange(port, port), remote=there)


@pytest.fixture
def host():
    with nowhere(NEAR, FAR), EbpfDriver.private() as driver:
        yield Host(driver)


def test_a_rule_stands_once_for_all_ports_of_its_group(host):
    host.say({"g": [udp(53)]})
    host.ports(near=["g"], far=["g"])
    assert (host.asked(53), host.asked(53, at=FAR)) == (None, None)
    host.say({"g": [udp(54)]}, complete=False)
    assert (host.asked(54), host.asked(54, at=FAR)) == (None, None)
    assert host.answers(53) is Reason.NOT_ALLOWED


def test_what_another_group_still_allows_lives_on(host):
    host.say({"g": [udp(53)], "h": [udp(53)]})
    host.ports(near=["g", "h"])
    host.asked(53)
    host.say({"g": []}, complete=False)
    assert host.answers(53) is None
    host.ports(near=["g"])
    assert host.answers(53) is Reason.NOT_ALLOWED


def test_a_member_comes_and_goes_and_takes_only_its_own(host):
    host.say({"g": [udp(53, "m")]}, {"m": ["10.0.0.11/32", "10.0.0.64/26"]})
    host.ports(near=["g"])
    assert host.asked(53) is None
    assert host.asked(53, "10.0.0.65") is None
    assert host.asked(53, "10.0.0.12") is Reason.NOT_ALLOWED
    host.change_set("m", ["10.0.0.12/32"], ["10.0.0.11/32"])
    assert host.asked(53, "10.0.0.12") is None
    assert host.answers(53) is Reason.NOT_ALLOWED
    assert host.answers(53, "10.0.0.65") is None
    host.say({}, {"m": ["10.0.0.12/32"]}, complete=False)
    assert host.answers(53, "10.0.0.65") is Reason.NOT_ALLOWED
    assert host.answers(53, "10.0.0.12") is None


def test_a_complete_change_leaves_nothing_else(host):
    host.say({"g": [udp(53), udp(54, "m")]}, {"m": ["10.0.0.0/8", "10.0.0.11/32"]})
    host.say({"h": [udp(53)]})
    host.ports(near=["g"], far=["h"])
    assert host.asked(53) is Reason.NOT_ALLOWED
    assert host.asked(53, at=FAR) is None
    host.say({})
    empty = ("allowed", "remotes", "remote_sets", "members", "member_prefixes")
    assert [name for name in empty if list(host.driver._maps[name].contents())] == []


def test_prefixes_within_prefixes(host):
    host.say({"g": [udp(1, "10.0.0.0/8"), udp(2, "10.0.0.0/24"), udp(3, "10.0.0.11/32"), udp(4)]})
    host.ports(near=["g"])
    said = {port: host.asked(port) for port in (1, 2, 3, 4, 5)}
    assert said == {1: None, 2: None, 3: None, 4: None, 5: Reason.NOT_ALLOWED}
    assert host.asked(3, "10.0.0.12") is Reason.NOT_ALLOWED
    assert host.asked(2, "10.0.1.12") is Reason.NOT_ALLOWED
    assert host.asked(1, "10.0.1.12") is None


def test_what_cannot_be_held_closes_its_ports_and_no_other(host):
    many = [udp(53, str(i)) for i in range(33)]
    assert host.say({"g": many, "h": [udp(53)]}) == {"g", "h"}
    host.ports(near=["g", "h"], far=["h"])
    assert "33 address sets" in host.said[NEAR]
    assert host.asked(53) is Reason.HELD_CLOSED
    assert host.asked(53, at=FAR) is None
    assert host.say({"g": many[:2]}, complete=False) == {"g"}
    host.ports(near=["g", "h"], far=["h"])
    assert host.said == {}
    assert host.asked(53) is None


def test_questions_of_all_groups_of_a_port_are_bounded(host):
    groups = {str(n): [udp(53, f"{n}-{i}") for i in range(14)] for n in range(4)}
    host.say(groups | {"one": [udp(53, "last")]}, {"last": ["10.0.0.11/32"]})
    host.ports(near=[*groups], far=["one"])
    assert host.said == {}
    assert host.asked(53) is Reason.NOT_ALLOWED
    host.ports(near=[*groups, "one"], far=["one"])
    assert "67 look-ups a packet, and the most are 64" in host.said[NEAR]
    assert host.asked(53, at=FAR) is None


def test_the_last_of_all_questions_is_heard(host):
    groups = {str(n): [udp(53, f"{n}-{i}") for i in range(14)] for n in range(4)}
    host.say(groups, {"3-13": ["10.0.0.11/32"], "3-12": ["10.0.0.12/32"]})
    host.ports(near=[*groups])
    assert (host.asked(53), host.asked(53, "10.0.0.12")) == (None, None)


def test_connections_outlive_another_policy_of_the_port(host):
    host.say({"g": [udp(53)]})
    host.ports(near=["g"])
    host.asked(53)
    host.ports(near=["g"], far=["g"])
    assert host.answers(53) is None
    host.ports(far=["g"])
    assert host.answers(53) is Reason.NO_POLICY
    host.ports(near=["unknown"], far=["g"])
    assert host.answers(53) is Reason.NOT_ALLOWED
