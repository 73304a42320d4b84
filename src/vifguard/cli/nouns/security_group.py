"""`vifguard security-group`: sets of rules that allow traffic of the ports that have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vifguard.attributes.security_groups import SECURITY_GROUPS
from vifguard.cli.nouns.security_group_rule import rule_columns
from vifguard.cli.options.attribute_options import NounOptions, Spelling
from vifguard.cli.session import Session
from vifguard.cli.show.output import Column, print_line
from vifguard.cli.show.references import with_names
from vifguard.cli.standard_commands import add_create, add_list, add_set, tagged_noun_app
from vifguard.client.resource import SECURITY_GROUP


def show_group(session: Session, group: Mapping[str, Any]) -> None:
    """A group, and a table of its rules."""
    if session.json:
        session.show(group)
        return
    others = {name: value for name, value in group.items() if name != "security_group_rules"}
    session.show(others)
    print_line("")
    rules = with_names(session.client, {"rules": group["security_group_rules"]})["rules"]
    session.table(rule_columns(rules, {}), rules)


app = tagged_noun_app(SECURITY_GROUP, "Security groups: rules that ports share.", show_group)


add_list(
    app,
    SECURITY_GROUP,
    "The security groups that you may see.",
    (
        Column("ID", "id"),
        Column("NAME", "name"),
        Column("PROJECT", "project_id"),
        Column("STATEFUL", "stateful"),
        Column("RULES", "security_group_rules", lambda rules: str(len(rules))),
        Column("DESCRIPTION", "description"),
    ),
)


def _show_changed(session: Session, _: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    show_group(session, after)


OPTIONS = NounOptions(
    SECURITY_GROUP,
    SECURITY_GROUPS,
    spelled={
        "stateful": Spelling("--stateful/--stateless"),
        "reject": Spelling("--reject/--drop"),
    },
)
add_create(
    app,
    OPTIONS,
    "Create a security group; at first it allows all that is opened from its members.",
    show_group,
)
add_set(
    app,
    OPTIONS,
    "Change a security group; `vifguard security-group-rule` changes its rules.",
    _show_changed,
)
