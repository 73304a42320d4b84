"""`vifguard ip-group`: addresses that several ports may answer for, one at a time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.attributes.ip_groups import IP_GROUPS
from vifguard.cli.lookup import completer, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.options.attribute_options import Item, NounOptions, Spelling, reference
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.addresses import fixed_ips
from vifguard.cli.show.output import Column, plain, show_addresses
from vifguard.cli.show.times import moment
from vifguard.cli.standard_commands import add_create, add_set, tagged_noun_app
from vifguard.client.resource import IP_GROUP, NETWORK, PORT

app = tagged_noun_app(
    IP_GROUP, "IP groups: addresses that one of several member ports has at a time."
)

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(IP_GROUP))
]
Ports = Annotated[
    list[str] | None,
    typer.Argument(metavar="PORT...", help="Ports, by name or id.", autocompletion=completer(PORT)),
]
Also = Annotated[
    list[str] | None,
    typer.Option("--member", help="A further port; repeatable.", autocompletion=completer(PORT)),
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
        Column("ADDRESSES", "addresses", show_addresses),
        Column("MEMBERS", "members", members),
        Column("HOLDERS", "holders", holders),
    )
    session.table(columns, groups)


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


def _complete(body: dict[str, Any]) -> dict[str, Any]:
    meant = {"addresses", "vrid4", "vrid6", "max_moves_per_minute"}
    if "network_id" in body and not body.keys() & meant:
        raise typer.BadParameter(
            "give --address or a router id: an IP group without either has no effect"
        )
    return body


def _members(session: Session, _: Item, names: list[str]) -> list[str]:
    return [id_of(session, PORT, name) for name in values.many(names)]


OPTIONS = NounOptions(
    IP_GROUP,
    IP_GROUPS,
    spelled={
        "network_id": reference("--network", NETWORK),
        "addresses": Spelling("--address", "ADDRESS|SUBNET", read=fixed_ips),
        "members": Spelling("--member", read=_members, refers_to=PORT),
        "pinned_port_id": reference("--pin", PORT),
        "max_moves_per_minute": Spelling("--max-moves"),
    },
    complete=_complete,
)
add_create(
    app,
    OPTIONS,
    "Create an IP group; every member may answer for its addresses, and nobody else.",
)
add_set(app, OPTIONS, "Change an IP group; --address and --member replace what was there.")


def _given(session: Session, ports: list[str] | None, members: list[str] | None) -> list[str]:
    """The ids of the ports that are named either way."""
    names = [*(ports or ()), *(members or ())]
    if not names:
        raise typer.BadParameter("name a port: PORT or --member")
    return [id_of(session, PORT, name) for name in names]


def _show_gap(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"
