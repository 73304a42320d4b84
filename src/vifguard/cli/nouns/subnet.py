"""`vifguard subnet`: ranges of addresses on a network."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.cli.lookup import completer, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column, plain
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import NETWORK, SUBNET, SUBNET_POOL

app = noun_app(SUBNET, "Subnets: a range of addresses, and where in it ports get theirs.")
add_show(app, SUBNET)
add_delete(app, SUBNET)
add_tags(app, SUBNET)

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(SUBNET))
]
Network = Annotated[
    str, typer.Option(help="The network's name or id.", autocompletion=completer(NETWORK))
]
OfNetwork = Annotated[
    str | None,
    typer.Option(
        "--network", help="Only those of this network.", autocompletion=completer(NETWORK)
    ),
]
Cidr = Annotated[
    str | None,
    typer.Option(
        help="The range, such as 10.0.0.0/24 or fd00:1::/64. Without it, --subnet-pool chooses one."
    ),
]
SubnetPool = Annotated[
    str | None,
    typer.Option(
        help="The pool that the range is from: --cidr, or the first free range.",
        autocompletion=completer(SUBNET_POOL),
    ),
]
Length = Annotated[
    int | None, typer.Option("--length", help="The prefix length of the range from the pool.")
]
Gateway = Annotated[str | None, typer.Option(help="The gateway's address, or none.")]
Pool = Annotated[
    list[str] | None,
    typer.Option(
        "--pool",
        metavar="FIRST-LAST",
        help="A range of addresses that ports get theirs from; repeatable.",
    ),
]
Dhcp = Annotated[
    bool | None,
    typer.Option(
        "--dhcp/--no-dhcp",
        help="Whether the subnet is for DHCP. vifguard runs no DHCP server itself.",
    ),
]
Nameserver = Annotated[
    list[str] | None, typer.Option("--nameserver", help="A DNS server; repeatable.")
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


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    network: Network,
    cidr: Cidr = None,
    subnet_pool: SubnetPool = None,
    length: Length = None,
    project: values.Project = None,
    gateway: Gateway = None,
    pool: Pool = None,
    dhcp: Dhcp = None,
    nameserver: Nameserver = None,
    description: values.Description = None,
) -> None:
    """Create a subnet."""
    if cidr is None and subnet_pool is None:
        raise typer.BadParameter("say which range: --cidr or --subnet-pool")
    body = values.present(
        name=name,
        network_id=id_of(session, NETWORK, network),
        cidr=cidr,
        subnetpool_id=None if subnet_pool is None else id_of(session, SUBNET_POOL, subnet_pool),
        prefixlen=length,
        project_id=project,
        enable_dhcp=dhcp,
        dns_nameservers=values.many(nameserver),
        allocation_pools=_pools(pool),
        description=description,
    )
    session.show(session.client.create(SUBNET, body | _gateway(gateway)))


@app.command("set")
@with_session
def set_subnet(
    session: Session,
    which: Which,
    name: values.NewName = None,
    gateway: Gateway = None,
    pool: Pool = None,
    dhcp: Dhcp = None,
    nameserver: Nameserver = None,
    description: values.Description = None,
) -> None:
    """Change a subnet."""
    body = values.present(
        name=name,
        enable_dhcp=dhcp,
        dns_nameservers=values.many(nameserver),
        allocation_pools=_pools(pool),
        description=description,
    )
    body = values.changes(body | _gateway(gateway))
    session.show(session.client.update(SUBNET, id_of(session, SUBNET, which), body))


def _gateway(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    return {"gateway_ip": None if text == values.NONE else text}


def _pools(texts: list[str] | None) -> list[dict[str, str]] | None:
    ranges = values.many(texts)
    return None if ranges is None else [_pool(text) for text in ranges]


def _pool(text: str) -> dict[str, str]:
    start, dash, end = text.partition("-")
    if not dash:
        raise typer.BadParameter(f"--pool {text!r} is not FIRST-LAST such as 10.0.0.10-10.0.0.99")
    return {"start": start.strip(), "end": end.strip()}


def _show_pools(pools: list[dict[str, str]]) -> str:
    return plain([f"{pool['start']}-{pool['end']}" for pool in pools])
