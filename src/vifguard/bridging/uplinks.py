"""Uplinks: members of a bridge that lead out of the host, and so are no guest's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vifguard.kernel.net.link import Link

_STACKED = frozenset({"vlan", "macsec"})
"""Kinds that stand on one other device (`lower`)."""
_JOINED = frozenset({"bond", "team", "batadv"})
"""Kinds whose members are other devices (their `master`)."""
_TUNNELS = frozenset({"vxlan", "geneve", "gretap", "ip6gretap", "erspan", "ip6erspan"})
_CARDS = frozenset({"", "dsa", "hsr"})
_BACKEND = "xen-backend"
"""The bus of Xen's `vifX.Y`, which are guests' and have no kind, as hardware has none."""
_REPRESENTOR = re.compile(r"(c\d+)?pf\d+.*", re.ASCII)
"""Port names of a switching card's functions; its uplinks are `p0` and `p0s1`.

Linux, Documentation/networking/devlink/devlink-port.rst; drivers give it as phys_port_name.
"""


def leads_out(link: Link, links: Mapping[int, Link]) -> bool:
    """Whether a member is hardware or a tunnel, or stands on nothing else.

    `links` are all of the host, by index. A VLAN of a guest's tap does not, nor does a bond with
    one, nor a device that stands on one that is not among them.
    """
    return _leads_out(link, links, frozenset())


def _leads_out(link: Link, links: Mapping[int, Link], above: frozenset[int]) -> bool:
    if link.index in above:  # devices that stand on each other, as read while they were changed
        return False
    above |= {link.index}
    if link.kind in _STACKED:
        below = links.get(link.lower)
        return below is not None and _leads_out(below, links, above)
    if link.kind in _JOINED:
        members = [each for each in links.values() if each.master == link.index]
        return all(_leads_out(each, links, above) for each in members)
    if link.kind in _CARDS:
        return link.bus != _BACKEND and not _REPRESENTOR.fullmatch(link.port_name)
    return link.kind in _TUNNELS
