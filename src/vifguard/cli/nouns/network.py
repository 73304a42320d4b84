"""`vifguard network`: L2 segments, shared or a project's own."""

from __future__ import annotations

from typing import Annotated

import typer

from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import NETWORK

app = noun_app(NETWORK, "Networks: one L2 segment each, shared or a project's own.")
add_show(app, NETWORK)
add_delete(app, NETWORK)
add_tags(app, NETWORK)

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name"),
    Column("PROJECT", "project_id"),
    Column("SHARED", "shared"),
    Column("PUBLIC", "public"),
    Column("PHYSICAL", "provider:physical_network"),
    Column("STATUS", "status"),
)

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(NETWORK))
]
Availability = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="Only this network; name or id.", autocompletion=completer(NETWORK)
    ),
]
Shared = Annotated[
    bool | None, typer.Option("--shared/--isolated", help="Whether all projects may use it.")
]
Public = Annotated[
    bool | None,
    typer.Option(
        "--public/--private", help="Whether its subnets are public prefixes of the provider."
    ),
]
Physical = Annotated[
    str | None,
    typer.Option(help="The physical network that it uses, as `vifguard up --physical` names it."),
]
Mtu = Annotated[int | None, typer.Option(help="The largest packet, in bytes.")]


@app.command("list")
@with_session
@with_list_options
def list_networks(session: Session, query: Query) -> None:
    """The networks that you may see."""
    session.table(COLUMNS, session.client.list(NETWORK, **query))


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


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    project: values.Project = None,
    shared: Shared = None,
    public: Public = None,
    physical: Physical = None,
    mtu: Mtu = None,
    enable: values.AdminState = None,
    port_security: values.PortSecurity = None,
    guard_profile: values.GuardProfile = None,
    guards: values.Guards = None,
    link_local: values.LinkLocals = None,
    learned_limits: values.LearnedLimits = None,
    storm: values.StormRate = None,
    description: values.Description = None,
) -> None:
    """Create a network."""
    body = values.present(
        name=name,
        project_id=project,
        shared=shared,
        public=public,
        mtu=mtu,
        admin_state_up=enable,
        port_security_enabled=port_security,
        link_local=link_local,
        learned_limits=values.learned_limits(learned_limits),
        storm=values.storm(storm),
        description=description,
    )
    if physical is not None:
        body |= {"provider:network_type": "flat", "provider:physical_network": physical}
    body |= values.guard_choice(guard_profile, guards)
    session.show(session.client.create(NETWORK, body))


@app.command("set")
@with_session
def set_network(
    session: Session,
    which: Which,
    name: values.NewName = None,
    shared: Shared = None,
    public: Public = None,
    mtu: Mtu = None,
    enable: values.AdminState = None,
    port_security: values.PortSecurity = None,
    guard_profile: values.GuardProfile = None,
    guards: values.Guards = None,
    link_local: values.LinkLocals = None,
    learned_limits: values.LearnedLimits = None,
    storm: values.StormRate = None,
    description: values.Description = None,
) -> None:
    """Change a network."""
    body = values.present(
        name=name,
        shared=shared,
        public=public,
        mtu=mtu,
        admin_state_up=enable,
        port_security_enabled=port_security,
        link_local=link_local,
        learned_limits=values.learned_limits(learned_limits),
        storm=values.storm(storm),
        description=description,
    )
    body = values.changes(body | values.guard_choice(guard_profile, guards))
    session.show(session.client.update(NETWORK, id_of(session, NETWORK, which), body))
