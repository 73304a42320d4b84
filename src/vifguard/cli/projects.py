"""Projects that the operator can have meant: a misspelt one is taken, with a note that it is new.

The server keeps no list of projects; the operator may give to one that is still to come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vifguard.cli.exit_codes import InputError
from vifguard.cli.lookup import EVERY
from vifguard.cli.show.output import note
from vifguard.client.errors import NotAllowedError
from vifguard.client.resource import NETWORK, SECURITY_GROUP

if TYPE_CHECKING:
    from vifguard.cli.session import Session

_MOST_NAMED: Final = 10


def note_if_new(session: Session, project: str) -> None:
    """Note to the operator that a project has no user and nothing here; name projects that have."""
    known = None if project == EVERY else _known(session)
    if known is None or project in known:
        return
    first = ", ".join(sorted(known)[:_MOST_NAMED])
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    note(f"project {project!r} has no user and nothing here so far; there are {first}{more}")


def _known(session: Session) -> set[str] | None:
    """The projects with users, quotas, networks or groups; None for users that may not see them."""
    client = session.client
    try:
        found = {one["project_id"] for one in client.call("GET", "quotas")["quotas"]}
    except NotAllowedError:
        return None
    # A project's first port, like its first group, brings its default group.
    for resource in (NETWORK, SECURITY_GROUP):
        found |= {one["project_id"] for one in client.list(resource, fields="project_id")}
    return found | _with_users(session)


def _with_users(session: Session) -> set[str]:
    """The projects of the users of a server on this machine; none for a server elsewhere."""
    from vifguard.cli.service import users
    from vifguard.cli.service.data_dir import DataDir

    if session.url:
        return set()
    try:
        accounts = users.read(DataDir(session.data_dir).users)
    except (InputError, OSError):
        return set()
    return {one.principal.project_id for one in accounts}
