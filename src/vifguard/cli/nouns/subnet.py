"""`vifguard subnet`: ranges of addresses on a network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.attributes.subnets import SUBNETS
from vifguard.cli.lookup import completer, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.options.attribute_options import NounOptions, Spelling, of_text, reference
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column, plain
from vifguard.cli.standard_commands import add_create, add_set, tagged_noun_app
from vifguard.client.resource import NETWORK, SUBNET, SUBNET_POOL

app = tagged_noun_app(SUBNET, "Subnets: a range of addresses, and where in it ports get theirs.")

OfNetwork = Annotated[
    str | None,
    typer.Option(
        "--network", help="Only those of this network.", autocompletion=completer(NETWORK)
    ),
]


@app.command("list")
@with_session
@with_list_options
def list_subnets(session: Session, query: Query, network: OfNetwork = None) -> None:
    """The subnets that you may see."""
    if network is not None:
        query["network_id"] = id_of(session, NETWORK, network)
    subnets = session.client.list(SUBNET, **query)
    names = {} if session.json else names_of(session, NETWORK)
    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("NETWORK", "network_id", lambda key: names.get(key, key)),
        Column("CIDR", "cidr"),
        Column("GATEWAY", "gateway_ip"),
        Column("POOLS", "allocation_pools", _show_pools),
    )
    session.table(columns, subnets)


def _pool(text: str) -> dict[str, str]:
    start, dash, end = text.partition("-")
    if not dash:
        raise typer.BadParameter(f"--pool {text!r} is not FIRST-LAST such as 10.0.0.10-10.0.0.99")
    return {"start": start.strip(), "end": end.strip()}


def _show_pools(pools: list[dict[str, str]]) -> str:
    return plain([f"{pool['start']}-{pool['end']}" for pool in pools])


def _complete(body: dict[str, Any]) -> dict[str, Any]:
    ranges = {"cidr", "subnetpool_id", "use_default_subnetpool"}
    if "network_id" in body and not body.keys() & ranges:
        raise typer.BadParameter("give a range: --cidr or --subnet-pool")
    return body


OPTIONS = NounOptions(
    SUBNET,
    SUBNETS,
    spelled={
        "network_id": reference("--network", NETWORK),
        "subnetpool_id": reference("--subnet-pool", SUBNET_POOL),
        "use_default_subnetpool": Spelling("--default-subnet-pool"),
        "prefixlen": Spelling("--length"),
        "gateway_ip": Spelling("--gateway"),
        "allocation_pools": Spelling(
            "--pool", "FIRST-LAST", read=of_text(lambda texts: [*map(_pool, values.many(texts))])
        ),
        "enable_dhcp": Spelling("--dhcp/--no-dhcp"),
        "dns_nameservers": Spelling("--nameserver"),
        "service_types": Spelling("--service-type"),
    },
    unoffered={
        "ip_version": "the range says it",
        "host_routes": "pairs of prefix and next hop are for a file, or for the API",
    },
    complete=_complete,
)
add_create(app, OPTIONS, "Create a subnet.")
add_set(app, OPTIONS, "Change a subnet.")
