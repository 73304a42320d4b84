"""`vifguard subnet-pool`: prefixes that subnets get their ranges from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vifguard.cli.lookup import completer, id_of
from vifguard.cli.options import values
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_delete, add_show, add_tags, noun_app
from vifguard.client.resource import SUBNET_POOL

app = noun_app(SUBNET_POOL, "Subnet pools: prefixes that new subnets get their ranges from.")
add_show(app, SUBNET_POOL)
add_delete(app, SUBNET_POOL)
add_tags(app, SUBNET_POOL)

Which = Annotated[
    str, typer.Argument(metavar="NAME", help="Name or id.", autocompletion=completer(SUBNET_POOL))
]
Prefix = Annotated[
    list[str],
    typer.Option("--prefix", help="A prefix of the pool, all of one IP version; repeatable."),
]
Prefixes = Annotated[
    list[str] | None,
    typer.Option("--prefix", help="All prefixes of the pool, with those that it has; repeatable."),
]
Length = Annotated[
    int | None, typer.Option("--length", help="The prefix length of a subnet that names none.")
]
Shortest = Annotated[
    int | None, typer.Option("--min-length", help="The least prefix length of a subnet.")
]
Longest = Annotated[
    int | None, typer.Option("--max-length", help="The greatest prefix length of a subnet.")
]
Quota = Annotated[
    str | None,
    typer.Option(help="IPv4 addresses, or IPv6 /64s, that each project may have; or none."),
]
Shared = Annotated[bool | None, typer.Option("--shared", help="Whether every project may use it.")]
Default = Annotated[
    bool | None,
    typer.Option(
        "--default/--no-default", help="Whether it is the default pool of its IP version."
    ),
]


@app.command("list")
@with_session
@with_list_options
def list_subnet_pools(session: Session, query: Query) -> None:
    """The subnet pools that you may see."""
    columns = (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("PREFIXES", "prefixes"),
        Column("LENGTH", "default_prefixlen"),
        Column("SHARED", "shared"),
        Column("DEFAULT", "is_default"),
    )
    found = session.client.list(SUBNET_POOL, **query)
    session.table(columns, found)


@app.command()
@with_session
def create(
    session: Session,
    name: values.Name,
    prefix: Prefix,
    project: values.Project = None,
    length: Length = None,
    min_length: Shortest = None,
    max_length: Longest = None,
    quota: Quota = None,
    shared: Shared = None,
    default: Default = None,
    description: values.Description = None,
) -> None:
    """Create a subnet pool."""
    body = values.present(
        name=name,
        prefixes=prefix,
        project_id=project,
        default_prefixlen=length,
        min_prefixlen=min_length,
        max_prefixlen=max_length,
        shared=shared,
        is_default=default,
        description=description,
    )
    session.show(session.client.create(SUBNET_POOL, body | _quota(quota)))


@app.command("set")
@with_session
def set_subnet_pool(
    session: Session,
    which: Which,
    name: values.NewName = None,
    prefix: Prefixes = None,
    length: Length = None,
    min_length: Shortest = None,
    max_length: Longest = None,
    quota: Quota = None,
    default: Default = None,
    description: values.Description = None,
) -> None:
    """Change a subnet pool; prefixes can be added, and none removed."""
    body = values.present(
        name=name,
        prefixes=prefix or None,
        default_prefixlen=length,
        min_prefixlen=min_length,
        max_prefixlen=max_length,
        is_default=default,
        description=description,
    )
    body = values.changes(body | _quota(quota))
    key = id_of(session, SUBNET_POOL, which)
    session.show(session.client.update(SUBNET_POOL, key, body))


def _quota(text: str | None) -> dict[str, Any]:
    return {} if text is None else {"default_quota": values.number_or_none("--quota", text)}
