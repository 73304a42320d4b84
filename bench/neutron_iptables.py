"""The policy of the comparison as Neutron's iptables driver installs it: its own code does.

ipset is on and changes are deferred, as in its agent. The agent's protection of ARP and MAC,
ten processes a port, is there for the two ports that talk and not for the others, which
favours it at many ports.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from peers.neutron import PYTHON

from bench import rules
from bench.world import Guest, World, interleave, other_guest
from vifguard.kernel.net import sysctl
from vifguard.lab.world import netns

NAME = "Neutron iptables"

_SCRIPT = Path(__file__).with_name("neutron_agent.py")
_WITH_IPV6 = {"ipv6/conf/{}/disable_ipv6": "0"}
THROUGH_IPTABLES = {f"bridge/bridge-nf-call-{each}": "1" for each in ("iptables", "ip6tables")}


def put(world: World, count: int, *, changes: bool = False) -> dict[str, float]:
    """Guard all ports by Neutron; the seconds it took for all, and for each change."""
    netns.within(world.name, lambda: sysctl.write("", THROUGH_IPTABLES))
    # Neutron writes no rules for IPv6 where new interfaces are configured to have none.
    netns.within(world.name, lambda: sysctl.write("default", _WITH_IPV6))
    others = [other_guest(number) for number in range(2, world.ports)]
    # It names chains after the tap, from its fourth letter on.
    ports = [
        _port(guest, guest.tap or f"tap{number:08d}")
        for number, guest in enumerate(interleave([world.a, world.b], others))
    ]
    told = {
        "ports": ports,
        "talking": [world.a.tap, world.b.tap],
        "group": rules.GROUP,
        "rules": _rules(count),
        "changes": changes,
    }
    with tempfile.TemporaryDirectory() as state:
        # Isolated: beside the script lies a module of Neutron's name.
        said = netns.run(
            ["env", f"XDG_CACHE_HOME={state}", str(PYTHON), "-I", "-W", "ignore", str(_SCRIPT),
             state],
            netns=world.name,
            stdin=json.dumps(told),
        )  # fmt: skip
    seconds: dict[str, float] = json.loads(said)
    return seconds


def _port(guest: Guest, device: str) -> dict[str, Any]:
    return {
        "device": device,
        "mac_address": guest.mac,
        "addresses": [guest.ip4, guest.ip6],
        "allowed_address_pairs": [],
    }


def _rules(count: int) -> list[dict[str, Any]]:
    of_group = {"security_group_id": rules.GROUP}
    out = [{**of_group, "direction": "egress", "ethertype": family} for family in ("IPv4", "IPv6")]
    return [*out, *({**of_group, **_rule(each)} for each in rules.incoming(count))]


def _rule(each: rules.Open) -> dict[str, Any]:
    remote = {} if each.remote is None else {"source_ip_prefix": str(each.remote)}
    return {
        "direction": "ingress",
        "ethertype": f"IPv{each.version}",
        "protocol": each.protocol_name,
        "port_range_min": each.port,
        "port_range_max": each.port,
        **remote,
    }
