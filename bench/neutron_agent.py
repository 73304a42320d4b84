"""Neutron's own iptables driver with many ports, and the time that it takes for each change.

Not of this project's environment: `bench.neutron_iptables` starts it with the Python of the one
that Neutron is installed in, inside the host's namespace. It reads the ports and the group as
JSON on stdin, and prints seconds as JSON. Its rules in the kernel stay.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neutron.agent.linux.iptables_firewall import IptablesFirewallDriver
from neutron.plugins.ml2.drivers.linuxbridge.agent import arp_protect

# By its path: beside it lies a module of Neutron's name.
_SPEC = importlib.util.spec_from_file_location(
    "linuxbridge", Path(__file__).parents[1] / "peers" / "linuxbridge.py"
)
assert _SPEC is not None and _SPEC.loader is not None  # noqa: S101, PT018 - a file beside us
peer = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(peer)


def main() -> None:
    """Guard the ports, then make the requested changes."""
    _, state = sys.argv
    told = json.load(sys.stdin)
    peer.configure(state)
    ports = [peer.port_of(port) for port in told["ports"]]
    group, rules = told["group"], told["rules"]
    driver = IptablesFirewallDriver()
    driver.update_security_group_rules(group, rules)
    driver.update_security_group_members(group, _members(ports))

    def put(some: list[dict[str, Any]], call: Callable[[Any], None]) -> None:
        with driver.defer_apply():
            for port in some:
                call(port)

    at_once = ports[:-1] if told["changes"] else ports
    seconds = {"all": _timed(lambda: put(at_once, driver.prepare_port_filter))}
    if told["changes"]:
        seconds["port"] = _timed(lambda: put(ports[-1:], driver.prepare_port_filter))
        more = [*rules, {**rules[-1], "protocol": "tcp", "port_range_min": 9, "port_range_max": 9}]
        driver.update_security_group_rules(group, more)
        seconds["rule"] = _timed(lambda: put(ports, driver.update_port_filter))
        members = _members(ports)
        members["IPv4"].append(["10.7.0.1", None])
        driver.update_security_group_members(group, members)
        seconds["member"] = _timed(lambda: put(ports, driver.update_port_filter))
    for port in (port for port in ports if port["device"] in told["talking"]):
        arp_protect.setup_arp_spoofing_protection(
            port["device"], {**port, "fixed_ips": [{"ip_address": ip} for ip in port["fixed_ips"]]}
        )
    sys.stdout.write(json.dumps(seconds))
    sys.stdout.flush()
    os._exit(0)  # a thread of its connection tracking never ends


def _members(ports: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {
        "IPv4": [[port["fixed_ips"][0], None] for port in ports],
        "IPv6": [[port["fixed_ips"][1], None] for port in ports],
    }


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
