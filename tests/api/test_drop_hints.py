"""The hint of a dropped frame: what in the port's settings explains it, and what to do."""

from typing import Any

import pytest
from tests.api.cloud import Cloud

from vifguard.feed.messages import DropRecord, Report
from vifguard.model.guard import Guard
from vifguard.model.verdict import Direction, Reason
from vifguard.packet.build import ethernet, ipv6, rs

IN, OUT = Direction.TO_GUEST, Direction.FROM_GUEST
MAC = "02:00:00:00:00:01"
V6 = ethernet(MAC, "33:33:00:00:00:02", ipv6("fd00::9", "ff02::2", rs()))
RULES = (Guard.SECURITY_GROUPS, Reason.NOT_ALLOWED, bytes(60))
ARP = (Guard.ARP, Reason.ARP_SENDER_ADDRESS, bytes(60))
IPV4 = (Guard.IP, Reason.IPV4_SOURCE, bytes(60))
IPV6 = (Guard.IP, Reason.IPV6_SOURCE, V6)
NO_ADDRESS: dict[str, Any] = {"fixed_ips": []}
PAIRS = {"fixed_ips": [], "allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}


@pytest.mark.parametrize(
    ("settings", "dropped", "words"),
    [
        ({}, (IN, *RULES), "no ingress rule of the port's security groups allows it: add"),
        ({}, (OUT, *RULES), "no egress rule"),
        ({"security_groups": []}, (OUT, *RULES), "no security group, so nothing passes: give it"),
        (NO_ADDRESS, (OUT, *ARP), "no IPv4 address: set its fixed_ips"),
        (NO_ADDRESS, (OUT, *IPV4), "no IPv4 address"),
        (NO_ADDRESS, (OUT, *IPV6), "no IPv6 address"),
        (PAIRS, (OUT, *IPV6), "no IPv6 address"),
        (PAIRS, (OUT, *IPV4), ""),
        ({}, (OUT, *ARP), ""),
        ({}, (OUT, *IPV4), ""),
        ({}, (OUT, *IPV6), ""),
    ],
)
def test_a_drop_that_the_ports_settings_explain_has_a_hint(
    cloud: Cloud,
    settings: dict[str, Any],
    dropped: tuple[Direction, Guard, Reason, bytes],
    words: str,
) -> None:
    cloud.has_host()
    network = cloud.admin.network("10.0.0.0/24", "2001:db8::/64", shared=True)
    port = cloud.admin.make("port", network_id=network["id"], **settings)["id"]
    direction, guard, reason, head = dropped
    drop = DropRecord(port, 1.0, direction, guard, reason, len(head), head)
    cloud.store.record_report(Report("h1", drops=(drop,)))
    (shown,) = cloud.admin.get(f"ports/{port}/drops")["drops"]
    assert words in shown["hint"]
    assert bool(words) == bool(shown["hint"])
