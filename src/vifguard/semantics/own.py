"""Which addresses are the port's own.

An address is the port's own if one of the port's prefixes holds it, or if it is an IPv6
link-local address that the port may use: the EUI-64 addresses of its MACs (`eui64`), any
address of fe80::/64 (`any`), or none but the listed (`none`). The unspecified address `::`
is nobody's, whatever the prefixes. A MAC is the port's own if it is one of the port's MACs.
An empty set holds nothing.
"""

from __future__ import annotations

from vifguard.model.address import UNSPECIFIED_6, IPAddress
from vifguard.model.policy import PortPolicy


def own(policy: PortPolicy, address: IPAddress) -> bool:
    """Whether the address is the port's own."""
    return address != UNSPECIFIED_6 and policy.owns(address)
