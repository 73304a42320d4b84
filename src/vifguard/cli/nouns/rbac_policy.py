"""`vifguard rbac-policy`: the sharing of objects with other projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from vifguard.cli.lookup import EVERY, id_of, names_of
from vifguard.cli.options import values
from vifguard.cli.projects import note_if_new
from vifguard.cli.session import Session, with_session
from vifguard.cli.show.output import Column
from vifguard.cli.standard_commands import add_delete, add_show, noun_app
from vifguard.client.resource import (
    ADDRESS_GROUP,
    NETWORK,
    RBAC_POLICY,
    SECURITY_GROUP,
    SUBNET_POOL,
    ResourceType,
)

app = noun_app(RBAC_POLICY, "RBAC policies: which other projects may see and use an object.")
add_show(app, RBAC_POLICY)
add_delete(app, RBAC_POLICY)

_KINDS: Final[Mapping[str, ResourceType]] = {
    each.noun: each for each in (NETWORK, SECURITY_GROUP, ADDRESS_GROUP, SUBNET_POOL)
}

Kind = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(_KINDS)}.")]
Shared = Annotated[str, typer.Argument(metavar="NAME", help="The object's name or id.")]
Policy = Annotated[str, typer.Argument(metavar="ID", help="The policy's id.")]
Target = Annotated[str, typer.Option("--with", metavar="PROJECT", help="A project, or all.")]


@app.command("list")
@with_session
def list_rbac_policies(session: Session) -> None:
    """The policies that your project made."""
    found = session.client.list(RBAC_POLICY)
    kinds = () if session.json else {one["object_type"] for one in found}
    named = [each for each in _KINDS.values() if each.singular in kinds]
    names = {key: name for each in named for key, name in names_of(session, each).items()}
    columns = (
        Column("ID", "id"),
        Column("KIND", "object_type"),
        Column("OBJECT", "object_id", lambda key: str(names.get(key, key))),
        Column("WITH", "target_tenant", lambda target: "all" if target == EVERY else target),
        Column("PROJECT", "project_id"),
    )
    session.table(columns, found)


@app.command()
@with_session
def create(
    session: Session, kind: Kind, name: Shared, target: Target, project: values.Project = None
) -> None:
    """Let another project, or all, see and use an object of yours."""
    if kind not in _KINDS:
        raise typer.BadParameter(f"KIND {kind!r} is not one of {', '.join(_KINDS)}")
    resource = _KINDS[kind]
    body = values.present(
        object_type=resource.singular,
        object_id=id_of(session, resource, name),
        target_tenant=_target(target),
        action="access_as_shared",
        project_id=project,
    )
    note_if_new(session, _target(target))
    session.show(session.client.create(RBAC_POLICY, body))


@app.command("set")
@with_session
def set_rbac_policy(session: Session, policy: Policy, target: Target) -> None:
    """Share with another project instead; refused while the present one uses the object."""
    body = {"target_tenant": _target(target)}
    note_if_new(session, _target(target))
    session.show(session.client.update(RBAC_POLICY, policy, body))


def _target(text: str) -> str:
    return EVERY if text == "all" else text
