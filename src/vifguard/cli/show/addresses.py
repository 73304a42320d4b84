"""`--fixed-ip` and `--address`: an address, or a subnet to take one from."""

from __future__ import annotations

from vifguard.cli.options import values
from vifguard.cli.session import Session
from vifguard.client.errors import NotFoundError
from vifguard.client.resource import SUBNET
from vifguard.model.address import AddressError, parse_address


def fixed_ips(
    session: Session, network_id: str, texts: list[str] | None
) -> list[dict[str, str]] | None:
    """The fixed addresses for the API; a subnet is one of that network, by name, id or cidr."""
    wanted = values.many(texts)
    if wanted is None:
        return None
    return [_fixed_ip(session, network_id, text) for text in wanted]


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
