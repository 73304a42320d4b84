"""`vifguard subnet-pool`: prefixes that subnets get their ranges from."""

from __future__ import annotations

from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.cli.options.attribute_options import NounOptions, Spelling
from vifguard.cli.options.list_options import Query, with_list_options
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import (
    add_create,
    add_delete,
    add_set,
    add_show,
    add_tags,
    noun_app,
)
from vifguard.client.resource import SUBNET_POOL

app = noun_app(SUBNET_POOL, "Subnet pools: prefixes that new subnets get their ranges from.")
add_show(app, SUBNET_POOL)
add_delete(app, SUBNET_POOL)
add_tags(app, SUBNET_POOL)


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


OPTIONS = NounOptions(
    SUBNET_POOL,
    SUBNET_POOLS,
    spelled={
        "prefixes": Spelling("--prefix"),
        "default_prefixlen": Spelling("--length", null=""),
        "min_prefixlen": Spelling("--min-length", null=""),
        "max_prefixlen": Spelling("--max-length", null=""),
        "default_quota": Spelling("--quota"),
        "is_default": Spelling("--default/--no-default"),
        "shared": Spelling("--shared"),
    },
)
add_create(app, OPTIONS, "Create a subnet pool.")
add_set(app, OPTIONS, "Change a subnet pool; prefixes can be added, and none removed.")
