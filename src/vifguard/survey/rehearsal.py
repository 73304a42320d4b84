"""Rehearsal: frames are read as they pass, judged, counted, and all delivered.

They are judged by the reference (`semantics`), with the policies that a file declares or that a
host holds already. Work that a sender left to be done to a frame (offload) is not seen here, and
security groups, which need the connections from their beginning, are not rehearsed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from vifguard.agent.state import is_of_guest
from vifguard.kernel.net.capture import Capture
from vifguard.model.address import IPNetwork, Mac, parse_address
from vifguard.model.guard import Guard, Profile
from vifguard.model.intent import Intent, Ranges
from vifguard.model.network import Network
from vifguard.model.policy import PortPolicy
from vifguard.model.port import AddressPair, FixedIp, Port
from vifguard.model.verdict import Action, Direction
from vifguard.packet.frame import parse
from vifguard.resolve.policy import resolve
from vifguard.semantics.storm import Bucket
from vifguard.semantics.verdict import judge
from vifguard.survey.survey import Survey, SurveyedMember, frames


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """Why frames of a member would be dropped; `example` is the value that was objected to."""

    member: str
    direction: str
    guard: str
    reason: str


@dataclass(slots=True)
class RehearsalResult:
    """The frames seen: those that would pass and be dropped, by cause, with an example each.

    `cut_off` are the frames from and to each member that no port is for. `lost` frames were too
    many to be read in time.
    """

    passed: Counter[str] = field(default_factory=Counter)
    dropped: Counter[Cause] = field(default_factory=Counter)
    cut_off: Counter[str] = field(default_factory=Counter)
    examples: dict[Cause, str] = field(default_factory=dict)
    lost: int = 0


def rehearse(
    policies: Mapping[str, PortPolicy], seconds: float, portless: Iterable[str] = ()
) -> RehearsalResult:
    """Judge the frames of interfaces, by name, for some seconds; count those of `portless`.

    Raises OSError.
    """
    result, buckets = RehearsalResult(), dict.fromkeys(policies, Bucket())
    result.cut_off.update(dict.fromkeys(portless, 0))
    with ExitStack() as open_:
        captures = {
            name: open_.enter_context(Capture(name)) for name in (*policies, *result.cut_off)
        }
        for name, each in frames(captures, seconds):
            if name not in policies:
                result.cut_off[name] += 1
                continue
            way = Direction.TO_GUEST if each.outgoing else Direction.FROM_GUEST
            buckets[name] = _judge(result, name, policies[name], way, each.frame, buckets[name])
        result.lost = sum(capture.lost() for capture in captures.values())
    return result


def declared(document: Mapping[str, Any], found: Survey) -> dict[str, PortPolicy]:
    """The policies of a file's ports by interface: as each names it, else as its MAC finds it.

    Ports that neither finds are left out: `absent` names them. The file is as `declare` writes it
    and an operator changes it: one project, its network shared. ValueError for no such file.
    """
    try:
        ((project, nouns),) = document["projects"].items()
        networks = [_network(key, project, each) for key, each in nouns["networks"].items()]
        cidrs: dict[str, list[IPNetwork]] = {}
        for subnet in nouns["subnets"].values():
            cidrs.setdefault(subnet["network"], []).append(ip_network(subnet["cidr"]))
        places = _places(nouns["ports"], found)
        ports = [
            _port(each["network"], project, key, each, places[key])
            for key, each in nouns["ports"].items()
            if key in places
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a file as `host adopt` writes it is needed: {error}") from None
    intent = Intent.of(0, networks, ports, (), Ranges.of((), cidrs))
    return {port.interface: resolve(intent, port) for port in ports}


def absent(document: Mapping[str, Any], policies: Mapping[str, PortPolicy]) -> list[str]:
    """The ports of a file that `declared` found no interface for."""
    (nouns,) = document["projects"].values()
    return sorted(nouns["ports"].keys() - {policy.port_id for policy in policies.values()})


def undeclared(policies: Mapping[str, PortPolicy], found: Survey) -> list[SurveyedMember]:
    """The members that are no uplink, not trusted, and no port of the file.

    A start with --physical cuts them off, unless they bear a port that is in the store.
    """
    return [each for each in found.guests if each.name not in policies]


def _places(ports: Mapping[str, Mapping[str, Any]], found: Survey) -> dict[str, str]:
    """The interface of each port that has one."""
    places = {key: each["interface"] for key, each in ports.items() if each.get("interface")}
    free = [each for each in found.guests if each.name not in places.values() and each.own]
    for key, each in ports.items():
        if key not in places:
            mac = Mac.parse(each["mac_address"])
            here = [one.name for one in free if one.own and is_of_guest(one.own, mac)]
            places |= {key: here[0]} if len(here) == 1 else {}
    return places


def _network(name: str, project: str, given: Mapping[str, Any]) -> Network:
    return Network(name, project, name, shared=given.get("shared", False))


def _port(network: str, project: str, name: str, given: Mapping[str, Any], interface: str) -> Port:
    pairs = tuple(
        AddressPair(
            ip_network(pair["ip_address"]),
            Mac.parse(pair["mac_address"]) if "mac_address" in pair else None,
        )
        for pair in given.get("allowed_address_pairs", ())
    )
    profile = given.get("guard_profile")
    fixed = (FixedIp("", parse_address(each["ip_address"])) for each in given.get("fixed_ips", ()))
    return Port(
        name,
        network,
        project,
        Mac.parse(given["mac_address"]),
        fixed_ips=tuple(fixed),
        address_pairs=pairs,
        profile=Profile(profile) if profile else None,
        interface=interface,
    )


def _judge(
    result: RehearsalResult,
    name: str,
    policy: PortPolicy,
    way: Direction,
    data: bytes,
    bucket: Bucket,
) -> Bucket:
    if Guard.SECURITY_GROUPS in policy.guards:
        policy = replace(policy, guards=policy.guards - {Guard.SECURITY_GROUPS})
    now = time.monotonic_ns()
    said, left = judge(policy, way, parse(data), now=now, bucket=bucket)
    if said.action is Action.PASS:
        result.passed[name] += 1
        return left or bucket
    reason = said.reason.name.lower().replace("_", "-") if said.reason else ""
    cause = Cause(name, way.value, said.guard.value if said.guard else "", reason)
    result.dropped[cause] += 1
    result.examples.setdefault(cause, said.object)
    return left or bucket
