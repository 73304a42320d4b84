"""`vifguard subnet-pool`: prefixes that subnets get their ranges from."""

from __future__ import annotations

from vifguard.attributes.subnet_pools import SUBNET_POOLS
from vifguard.cli.options.attribute_options import NounOptions, Spelling
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_create, add_list, add_set, tagged_noun_app
from vifguard.client.resource import SUBNET_POOL

app = tagged_noun_app(SUBNET_POOL, "Subnet pools: prefixes that new subnets get their ranges from.")


add_list(
    app,
    SUBNET_POOL,
    "The subnet pools that you may see.",
    (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("PREFIXES", "prefixes"),
        Column("LENGTH", "default_prefixlen"),
        Column("SHARED", "shared"),
        Column("DEFAULT", "is_default"),
    ),
)


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
