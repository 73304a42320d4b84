"""Neutron's own code for a host, called as its Linux bridge agent calls it.

Not of this project's environment: `peers.neutron` starts it with the Python of the one that
Neutron is installed in, inside the host's namespace. Ports come as JSON on stdin. Its
rules in the kernel stay when it ends, as they do when the agent ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from neutron import privileged
from neutron.agent.linux.iptables_firewall import IptablesFirewallDriver
from neutron.common import config as common
from neutron.conf.agent import common as agent
from neutron.conf.agent import securitygroups_rpc
from neutron.plugins.ml2.drivers.linuxbridge.agent import arp_protect
from oslo_config import cfg

_GROUP = "11111111-2222-4333-8444-555555555555"
_NETWORK = "77777777-aaaa-4bbb-8ccc-000000000001"


def main() -> None:
    """Guard the ports: the firewall driver, then the protection of MAC and ARP."""
    _, state = sys.argv
    configure(state)
    ports = [port_of(port) for port in json.load(sys.stdin)]
    driver = IptablesFirewallDriver()
    driver.update_security_group_rules(_GROUP, _open_group())
    with driver.defer_apply():
        for port in ports:
            driver.prepare_port_filter(port)
    for port in ports:
        arp_protect.setup_arp_spoofing_protection(port["device"], _details(port))
    sys.stdout.flush()
    os._exit(0)  # a thread of its connection tracking never ends


def configure(state: str) -> None:
    """Set its options as an agent without a configuration file has them."""
    common.register_common_config_options()
    agent.register_root_helper(cfg.CONF)
    agent.register_iptables_opts(cfg.CONF)
    securitygroups_rpc.register_securitygroups_opts(cfg.CONF)
    cfg.CONF(["--config-dir", state], project="neutron")
    cfg.CONF.set_override("lock_path", state, "oslo_concurrency")
    privileged.default.set_client_mode(False)  # we are root already


def _open_group() -> list[dict[str, Any]]:
    """Rules that allow all: a frame that a group drops proves nothing of the anti-spoofing."""
    return [
        {"security_group_id": _GROUP, "direction": direction, "ethertype": family}
        for direction in ("ingress", "egress")
        for family in ("IPv4", "IPv6")
    ]


def port_of(told: dict[str, Any]) -> dict[str, Any]:
    """The port as the server describes it to the agent, for its firewall."""
    return {
        "id": f"{told['device'].removeprefix('tap')}-0000-4000-8000-000000000000",
        "device": told["device"],
        "network_id": _NETWORK,
        "mac_address": told["mac_address"],
        "device_owner": "compute:nova",
        "fixed_ips": told["addresses"],
        "allowed_address_pairs": told["allowed_address_pairs"],
        "security_groups": [_GROUP],
        "security_group_rules": [],
        "security_group_source_groups": [],
        "port_security_enabled": True,
    }


def _details(port: dict[str, Any]) -> dict[str, Any]:
    """The same port as the device's details, which hold its addresses in another shape."""
    return {**port, "fixed_ips": [{"ip_address": each} for each in port["fixed_ips"]]}


if __name__ == "__main__":
    main()
