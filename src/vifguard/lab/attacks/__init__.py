"""The attack catalogue as data: rows, their frames, and the expected outcome of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vifguard.lab.attacks import (
    api_calls,
    arp,
    dhcp,
    ethertype,
    ipv4,
    ipv6,
    isolation,
    learned,
    legal,
    lifecycle,
    mac,
    nd,
    standards,
)
from vifguard.lab.attacks.attack import Attack, Variant

CATALOGUE: tuple[Attack, ...] = (
    *mac.ROWS,
    *ipv4.ROWS,
    *arp.ROWS,
    *nd.ROWS,
    *ipv6.ROWS,
    *dhcp.ROWS,
    *ethertype.ROWS,
    *isolation.ROWS,
    *api_calls.ROWS,
    *lifecycle.ROWS,
    *standards.ROWS,
    *learned.ROWS,
    *legal.ROWS,
)
"""Every row: groups A to J, our own (X), then section K."""

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {attack.variant_id(variant): variant for attack in CATALOGUE for variant in attack.variants}
)
"""Every variant by its id, `attack/variant`."""
