"""The scenarios: worlds with a story and expectations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from vifguard.lab.scenarios import lifecycle, s1, s2, s3, s4, s5, s6, s8, s9
from vifguard.lab.scenarios.scenario import Scenario

_ALL = (
    Scenario(s1.NAME, s1.TITLE, s1.PLAN, s1.play),
    Scenario(
        s1.REVERSED.name,
        f"{s1.TITLE}, ports in reverse order",
        s1.REVERSED,
        partial(s1.play, plan=s1.REVERSED),
    ),
    *(
        Scenario(
            plan.name,
            f"{s1.TITLE}, {said}",
            plan,
            partial(s1.play, plan=plan, plays=s1.stands_alone),
        )
        for plan, said in zip(
            s1.GROUPED, ("one security group a port", "five security groups a port"), strict=True
        )
    ),
    Scenario(s2.NAME, s2.TITLE, s2.PLAN, s2.play, ("ip", "ping", "keepalived")),
    Scenario(s3.NAME, s3.TITLE, s3.PLAN, s3.play, ("ip", "ping", "nft")),
    Scenario(
        s4.NAME,
        s4.TITLE,
        s4.PLAN,
        s4.play,
        ("ip", "ping", "nginx", "psql", "curl", "setpriv", "ss"),
    ),
    Scenario(s5.NAME, s5.TITLE, s5.PLAN, s5.play, ("ip", "ping", "dnsmasq", "udhcpc")),
    Scenario(s6.NAME, s6.TITLE, s6.PLAN, s6.play),
    Scenario(s8.NAME, s8.TITLE, s8.PLAN, s8.play),
    Scenario(s9.NAME, s9.TITLE, s9.PLAN, s9.play, ("ip", "ping", "dnsmasq")),
    Scenario(lifecycle.NAME, lifecycle.TITLE, lifecycle.PLAN, lifecycle.play, ("ip", "nft", "tc")),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({each.name: each for each in _ALL})
"""Every scenario by its name."""
