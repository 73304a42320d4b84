"""`vifguard ip-group`: addresses that several ports may answer for, one at a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.cli.lookup import completer, find, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.addresses import fixed_ips
from vifguard.cli.show.output import Column, plain
from vifguard.cli.show.times import moment
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import IP_GROUP, NETWORK, PORT

app = noun_app(IP_GROUP, "IP groups: addresses that one of several member ports has at a time.")
add_show(app, IP_GROUP)
add_delete(app, IP_GROUP)
add_tags(app, IP_GROUP)

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(IP_GROUP))
]
Network = Annotated[
    str, typer.Option(help="The network's name or id.", autocompletion=completer(NETWORK))
]
Address = Annotated[
    list[str] | None,
    typer.Option(
        "--address",
        metavar="ADDRESS|SUBNET",
        help="An address of the group, or a subnet to take one from; repeatable; or none.",
    ),
]
Member = Annotated[
    list[str] | None,
    typer.Option(
        "--member", help="A member port; repeatable; or none.", autocompletion=completer(PORT)
    ),
]
Ports = Annotated[
    list[str] | None,
    typer.Argument(metavar="PORT...", help="Ports, by name or id.", autocompletion=completer(PORT)),
]
Also = Annotated[
    list[str] | None,
    typer.Option("--member", help="A further port; repeatable.", autocompletion=completer(PORT)),
]
Vrid4 = Annotated[str | None, typer.Option(help="The VRRP router id for IPv4, or none.")]
Vrid6 = Annotated[str | None, typer.Option(help="The VRRP router id for IPv6, or none.")]
Pin = Annotated[
    str | None,
    typer.Option(
        help="The only port that may hold the addresses, or none.", autocompletion=completer(PORT)
    ),
]
MaxMoves = Annotated[
    str | None, typer.Option(help="How often a minute the holder may change, or none.")
]


@app.command("list")
@with_session
@with_list_options
def list_ip_groups(session: Session, query: Query) -> None:
    """The IP groups that you may see."""
    groups = session.client.list(IP_GROUP, **query)
    names = {} if session.json else names_of(session, PORT)

    def members(ids: list[str]) -> str:
        return plain(sorted(names.get(key, key) for key in ids))

    def holders(found: list[dict[str, Any]]) -> str:
        return plain([f"{one['ip_address']} at {members([one['port_id']])}" for one in found])

    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("ADDRESSES", "addresses", _show_addresses),
        Column("MEMBERS", "members", members),
        Column("HOLDERS", "holders", holders),
    )
    session.table(columns, groups)


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    network: Network,
    project: values.Project = None,
    address: Address = None,
    member: Member = None,
    vrid4: Vrid4 = None,
    vrid6: Vrid6 = None,
    pin: Pin = None,
    max_moves: MaxMoves = None,
    description: values.Description = None,
) -> None:
    """Create an IP group; every member may answer for its addresses, and nobody else."""
    numbers = _numbers(vrid4=vrid4, vrid6=vrid6, max_moves_per_minute=max_moves)
    if not (address or numbers):
        raise typer.BadParameter("give --address, or a router id: else the group means nothing")
    network_id = id_of(session, NETWORK, network)
    body = values.present(
        name=name,
        network_id=network_id,
        project_id=project,
        addresses=fixed_ips(session, network_id, address),
        members=_members(session, member),
        description=description,
    )
    body |= numbers | _pinned(session, pin)
    session.show(session.client.create(IP_GROUP, body))


@app.command("set")
@with_session
def set_ip_group(
    session: Session,
    which: Which,
    name: values.NewName = None,
    address: Address = None,
    member: Member = None,
    vrid4: Vrid4 = None,
    vrid6: Vrid6 = None,
    pin: Pin = None,
    max_moves: MaxMoves = None,
    description: values.Description = None,
) -> None:
    """Change an IP group; --address and --member replace what was there."""
    numbers = _numbers(vrid4=vrid4, vrid6=vrid6, max_moves_per_minute=max_moves)
    group = find(session, IP_GROUP, which)
    body = values.present(
        name=name,
        addresses=fixed_ips(session, group["network_id"], address),
        members=_members(session, member),
        description=description,
    )
    body = values.changes(body | numbers | _pinned(session, pin))
    session.show(session.client.update(IP_GROUP, group["id"], body))


@app.command()
@with_session
def add(session: Session, which: Which, ports: Ports = None, member: Also = None) -> None:
    """Add ports to the members."""
    given = _given(session, ports, member)

    def change(group: dict[str, Any]) -> dict[str, Any]:
        return {"members": [*dict.fromkeys([*group["members"], *given])]}

    key = id_of(session, IP_GROUP, which)
    session.show(session.client.change(IP_GROUP, key, change))


@app.command()
@with_session
def remove(session: Session, which: Which, ports: Ports = None, member: Also = None) -> None:
    """Remove ports from the members."""
    given = _given(session, ports, member)

    def change(group: dict[str, Any]) -> dict[str, Any]:
        return {"members": [key for key in group["members"] if key not in given]}

    key = id_of(session, IP_GROUP, which)
    session.show(session.client.change(IP_GROUP, key, change))


@app.command()
@with_session
def events(session: Session, which: Which) -> None:
    """List who took the addresses when, and when two members claimed one at once."""
    key = id_of(session, IP_GROUP, which)
    found = session.client.events(key)
    names = {} if session.json else names_of(session, PORT)

    def port(port_id: str | None) -> str:
        return names.get(port_id, port_id) if port_id else ""

    columns = (
        Column("AT", "at", moment),
        Column("EVENT", "kind"),
        Column("ADDRESS", "ip_address"),
        Column("FROM", "from_port_id", port),
        Column("TO", "to_port_id", port),
        Column("GAP", "gap_seconds", _show_gap),
    )
    session.table(columns, found)


def _members(session: Session, names: list[str] | None) -> list[str] | None:
    ports = values.many(names)
    return None if ports is None else [id_of(session, PORT, name) for name in ports]


def _given(session: Session, ports: list[str] | None, members: list[str] | None) -> list[str]:
    """The ids of the ports that are named either way."""
    names = [*(ports or ()), *(members or ())]
    if not names:
        raise typer.BadParameter("name a port: PORT or --member")
    return [id_of(session, PORT, name) for name in names]


def _pinned(session: Session, name: str | None) -> dict[str, str | None]:
    if name is None:
        return {}
    return {"pinned_port_id": None if name == values.NONE else id_of(session, PORT, name)}


def _numbers(**texts: str | None) -> dict[str, int | None]:
    return {
        field: values.number_or_none(field, text)
        for field, text in texts.items()
        if text is not None
    }


def _show_addresses(addresses: list[dict[str, Any]]) -> str:
    return plain([address["ip_address"] for address in addresses])


def _show_gap(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"
