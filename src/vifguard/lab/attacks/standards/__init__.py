"""Group X: our own rows, from the standards: each length, count, pointer and order of headers.

A filter can misread any field that it reads. Each row falsifies one field that holds a length, a
count or the type of the next header, at its extremes and one beside them; where the falsehood is
harmless the row says so, and the same frame with a stolen identity must still die.
"""

from __future__ import annotations

from vifguard.lab.attacks.attack import Attack
from vifguard.lab.attacks.standards import (
    dhcp,
    discovery,
    ipv4,
    ipv6,
    link,
    offload,
    segmentation,
    to_guest,
    vrrp,
)

ROWS: tuple[Attack, ...] = (
    *link.ROWS,
    *ipv4.ROWS,
    *ipv6.ROWS,
    *discovery.ROWS,
    *dhcp.ROWS,
    *vrrp.ROWS,
    *to_guest.ROWS,
    *offload.ROWS,
    *segmentation.ROWS,
)
