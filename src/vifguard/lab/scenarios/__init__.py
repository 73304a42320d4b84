"""The scenarios: worlds with a story and expectations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from vifguard.lab.scenarios import (
    lifecycle,
    s1_shared_segment,
    s2_keepalived_failover,
    s3_nat_router,
    s4_web_service,
    s5_own_network_dhcp,
    s6_same_range,
    s8_flood,
    s9_learned_addresses,
)
from vifguard.lab.scenarios.scenario import Scenario

_ALL = (
    Scenario(
        s1_shared_segment.NAME,
        s1_shared_segment.TITLE,
        s1_shared_segment.PLAN,
        s1_shared_segment.play,
    ),
    Scenario(
        s1_shared_segment.REVERSED.name,
        f"{s1_shared_segment.TITLE}, ports in reverse order",
        s1_shared_segment.REVERSED,
        partial(s1_shared_segment.play, plan=s1_shared_segment.REVERSED),
    ),
    *(
        Scenario(
            plan.name,
            f"{s1_shared_segment.TITLE}, {said}",
            plan,
            partial(s1_shared_segment.play, plan=plan, plays=s1_shared_segment.stands_alone),
        )
        for plan, said in zip(
            s1_shared_segment.GROUPED,
            ("one security group a port", "five security groups a port"),
            strict=True,
        )
    ),
    Scenario(
        s2_keepalived_failover.NAME,
        s2_keepalived_failover.TITLE,
        s2_keepalived_failover.PLAN,
        s2_keepalived_failover.play,
        ("ip", "ping", "keepalived"),
    ),
    Scenario(
        s3_nat_router.NAME,
        s3_nat_router.TITLE,
        s3_nat_router.PLAN,
        s3_nat_router.play,
        ("ip", "ping", "nft"),
    ),
    Scenario(
        s4_web_service.NAME,
        s4_web_service.TITLE,
        s4_web_service.PLAN,
        s4_web_service.play,
        ("ip", "ping", "nginx", "psql", "curl", "setpriv", "ss"),
    ),
    Scenario(
        s5_own_network_dhcp.NAME,
        s5_own_network_dhcp.TITLE,
        s5_own_network_dhcp.PLAN,
        s5_own_network_dhcp.play,
        ("ip", "ping", "dnsmasq", "udhcpc"),
    ),
    Scenario(s6_same_range.NAME, s6_same_range.TITLE, s6_same_range.PLAN, s6_same_range.play),
    Scenario(s8_flood.NAME, s8_flood.TITLE, s8_flood.PLAN, s8_flood.play),
    Scenario(
        s9_learned_addresses.NAME,
        s9_learned_addresses.TITLE,
        s9_learned_addresses.PLAN,
        s9_learned_addresses.play,
        ("ip", "ping", "dnsmasq"),
    ),
    Scenario(lifecycle.NAME, lifecycle.TITLE, lifecycle.PLAN, lifecycle.play, ("ip", "nft", "tc")),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({each.name: each for each in _ALL})
"""Every scenario by its name."""
