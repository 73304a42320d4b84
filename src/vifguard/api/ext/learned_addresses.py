"""Addresses that guests chose themselves: shown at their ports, and released here."""

from __future__ import annotations

from starlette.responses import Response

from vifguard.api.http.request import RequestContext
from vifguard.api.http.routes import Routes
from vifguard.model.address import host_prefix
from vifguard.store.addressing import learned
from vifguard.store.errors import MissingError
from vifguard.store.queries import visibility

router = Routes("ports")


@router.delete(
    "/ports/{port_id}/learned-addresses/{address}",
    name="release_learned_address",
    status_code=204,
)
def release_learned_address(call: RequestContext, port_id: str, address: str) -> Response:
    """Release an address: it is nobody's until a guest claims it."""
    with call.store.change() as change:
        port = visibility.port(change, call.user, port_id).port
        found = [each.address for each in port.learned if str(each.address) == address]
        if not found:
            raise MissingError("learned-address", address[:100])
        learned.release(change, port.network_id, host_prefix(found[0]))
    return Response(status_code=204)
