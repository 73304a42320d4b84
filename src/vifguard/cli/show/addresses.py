"""`--fixed-ip` and `--address`: an address, or a subnet to take one from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vifguard.cli.options import values
from vifguard.cli.session import Session
from vifguard.client.errors import NotFoundError
from vifguard.client.resource import SUBNET
from vifguard.model.address import AddressError, parse_address


def fixed_ips(
    session: Session, beside: Mapping[str, Any], texts: list[str]
) -> list[dict[str, str]]:
    """The fixed addresses for the API; a subnet of its network by name, id or cidr."""
    return [_fixed_ip(session, beside["network_id"], text) for text in values.many(texts)]


def _fixed_ip(session: Session, network_id: str, text: str) -> dict[str, str]:
    try:
        return {"ip_address": str(parse_address(text))}
    except AddressError:
        return {"subnet_id": _subnet(session, network_id, text)}


def _subnet(session: Session, network_id: str, text: str) -> str:
    for subnet in session.client.list(SUBNET, network_id=network_id):
        if text in {subnet["id"], subnet["name"], subnet["cidr"]}:
            key: str = subnet["id"]
            return key
    raise NotFoundError(
        404, "SubnetNotFound", f"{text!r} is neither an address nor a subnet of that network"
    )
