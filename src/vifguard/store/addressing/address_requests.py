"""Requests beside those of a port's owner: for addresses that its guest forms itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from vifguard.model.address_request import AddressRequest
from vifguard.model.network import Subnet
from vifguard.model.port import Port

_ROUTER: Final = "network:router_"
"""The first part of the device owners of routers' ports."""


def with_automatic(
    wishes: tuple[AddressRequest, ...], choice: Iterable[Subnet], port: Port
) -> tuple[AddressRequest, ...]:
    """The requests, and one for each automatic subnet without any: its guest forms that address.

    A router's port gets none (Neutron, `_allocate_ips_for_port` of `ipam_pluggable_backend`).
    """
    if port.device_owner.startswith(_ROUTER):
        return wishes
    unnamed = (
        AddressRequest(subnet.id)
        for subnet in choice
        if subnet.is_automatic
        and subnet.serves(port.device_owner)
        and not any(wish.is_of(subnet) for wish in wishes)
    )
    return (*wishes, *unnamed)
