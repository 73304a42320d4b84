"""Bytes of the bodies of requests that are not answered yet, bounded for each kind of user.

No kind can take those of another: the operator repairs the cloud whatever tenants, a service or
an agent send. Nor can a few projects keep others out: the one that has most loses a body that is
not complete to one that has fewer.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from vifguard.api.access.principal import Principal, UserRole
from vifguard.api.http.shares import Share, Shares

MAX_BODIES: Final = 64 * 1024 * 1024
"""Bytes of each kind of user: projects, hosts' agents, services, the operator."""

MAX_BODIES_OF_A_PROJECT: Final = 8 * 1024 * 1024
MAX_BODIES_OF_A_HOST: Final = 2 * 1024 * 1024
"""Bytes of an agent's bodies beside its report, of which it sends one at a time."""

_WHAT: Final = "bytes of bodies"


class Bodies:
    """The bytes of all bodies. One event loop uses one."""

    def __init__(
        self, most: int = MAX_BODIES, most_of_a_project: int = MAX_BODIES_OF_A_PROJECT
    ) -> None:
        """`most` bytes are for each kind of user."""
        self._of_projects = Shares(_WHAT, most, most_of_a_project)
        self._of_hosts = Shares(_WHAT, most, MAX_BODIES_OF_A_HOST, "Host")
        self._of_services = Shares(_WHAT, most, most)
        self._of_operator = Shares(_WHAT, most, most)

    @property
    def taken(self) -> int:
        """The number of bytes that are taken by all."""
        kinds = (self._of_projects, self._of_hosts, self._of_services, self._of_operator)
        return sum(each.taken for each in kinds)

    def share(self, who: Principal) -> AbstractContextManager[Share]:
        """A user's share, of which nothing is taken yet; given back when the block ends."""
        if UserRole.ADMIN in who.roles:
            return self._of_operator.share("")
        if UserRole.SERVICE in who.roles:
            return self._of_services.share("")
        if UserRole.AGENT in who.roles:
            return self._of_hosts.share(who.host)
        return self._of_projects.share(who.project_id)
