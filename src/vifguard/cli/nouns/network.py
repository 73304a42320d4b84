"""`vifguard network`: L2 segments, shared or a project's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.attributes.networks import NETWORKS
from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options.attribute_options import NounOptions, Spelling
from vifguard.cli.options.guard_options import GUARD_OPTIONS, guard_choice
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_create, add_list, add_set, tagged_noun_app
from vifguard.client.resource import NETWORK

app = tagged_noun_app(NETWORK, "Networks: one L2 segment each, shared or a project's own.")

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("PROJECT", "project_id"),
    Column("SHARED", "shared"),
    Column("PUBLIC", "public"),
    Column("PHYSICAL", "provider:physical_network"),
    Column("STATUS", "status"),
)

Availability = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="Only this network; name or id.", autocompletion=completer(NETWORK)
    ),
]


add_list(app, NETWORK, "The networks that you may see.", COLUMNS)


@app.command()
@with_session
def availability(session: Session, which: Availability = None) -> None:
    """How many addresses each network has, and how many are used; for the operator."""
    query = {} if which is None else {"network_id": id_of(session, NETWORK, which)}
    found = session.client.call("GET", "network-ip-availabilities", query=query)
    columns = (
        Column("NETWORK", "network_name"),
        Column("PROJECT", "project_id"),
        Column("ADDRESSES", "total_ips"),
        Column("USED", "used_ips"),
    )
    session.table(columns, found["network_ip_availabilities"])


def _complete(body: dict[str, Any]) -> dict[str, Any]:
    if "provider:physical_network" in body:
        body |= {"provider:network_type": "flat"}
    return guard_choice(body)


OPTIONS = NounOptions(
    NETWORK,
    NETWORKS,
    spelled={
        **GUARD_OPTIONS,
        "shared": Spelling("--shared/--isolated"),
        "public": Spelling("--public/--private"),
        "provider:physical_network": Spelling("--physical"),
    },
    unoffered={
        "provider:network_type": "--physical says it",
        "router:external": "there are no routers",
        "availability_zone_hints": "there are no zones",
    },
    complete=_complete,
)
add_create(app, OPTIONS, "Create a network.")
add_set(app, OPTIONS, "Change a network.")
