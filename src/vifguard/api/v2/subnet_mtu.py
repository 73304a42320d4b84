"""The least MTU of a network, given the IP versions of its subnets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vifguard.attributes.refusal import conflict
from vifguard.model.network import Network

_LEAST: Final = {4: 68, 6: 1280}
"""RFC 791, section 3.2; RFC 8200, section 5."""


def require_mtu(network: Network, versions: Iterable[int]) -> None:
    """Raise Refusal (409) where IP of one of these versions needs a larger MTU."""
    least = max((_LEAST[version] for version in versions), default=0)
    if network.mtu < least:
        raise conflict(
            "NetworkMTUSubnetConflict",
            f"MTU of {network.id} is not valid: it is {network.mtu}, and a subnet requires a "
            f"minimum of {least}.",
        )
