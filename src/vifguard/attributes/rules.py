"""Users, and the rules for choosing an attribute's value. Actions by role are `policy`.

A user is what the roles of a principal amount to for one action: the handler of that action
knows users alone, and so cannot look at a role.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from vifguard.model.network import Network
from vifguard.model.policy import DEFAULT_STORM, Storm
from vifguard.model.port import Port


@dataclass(frozen=True, slots=True)
class User:
    """A caller in one action, and the reach of that action: decided once, by `policy.user_of`.

    `sees_all`: the action reaches every project's objects, else the user's own. `is_owner`: the
    user may choose what is left to its project; `is_operator`: everything; `may_bind`: the host
    that a port belongs to. `host`: the one host whose feed and reports the action reaches, where
    it does not reach every host's.
    """

    name: str
    project_id: str
    sees_all: bool = False
    is_owner: bool = False
    is_operator: bool = False
    may_bind: bool = False
    host: str = ""

    @property
    def sees_hosts_and_others(self) -> bool:
        """Whether it may see hosts, their interfaces and other projects, as binding ports needs."""
        return self.may_bind

    def is_on_host(self, host: str) -> bool:
        """Whether the action reaches a host's updates and reports."""
        return self.sees_all or (self.host != "" and host == self.host)

    def sees(self, project_id: str) -> bool:
        """Whether the action reaches an object of a project."""
        return self.sees_all or project_id == self.project_id

    def owns(self, project_id: str) -> bool:
        """Whether the user chooses as the owner of a project's objects does."""
        return self.is_operator or (self.is_owner and project_id == self.project_id)


@dataclass(frozen=True, slots=True)
class Subject:
    """A user before the object it acts on: the object's project and network, the port so far."""

    user: User
    project_id: str
    network: Network | None = None
    port: Port | None = None

    @property
    def owns(self) -> bool:
        """The operator, or the owner of the object itself."""
        return self.user.owns(self.project_id)

    @property
    def owns_network(self) -> bool:
        """The operator, or the owner of the isolated network it is on."""
        if self.user.is_operator:
            return True
        network = self.network
        isolated = network is not None and not network.shared
        return isolated and self.user.owns(network.project_id) and self.owns  # type: ignore[union-attr]


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """The condition for choosing a value; `requirement` is its text in a refusal.

    `is_policy`: refusing it is 403, the answer of policy; else the value itself is bad, 400.
    """

    requirement: str
    allows: Callable[[Subject, Any], bool]
    is_policy: bool = True


NETWORKS_OWN: Final = "network:"
"""The prefix of the owner of a port of the network's own: a router's, a DHCP server's."""


def _storm_allowed(standing: Subject, value: Storm | None) -> bool:
    if standing.user.is_operator or value is None:
        return standing.owns_network
    within = value.rate <= DEFAULT_STORM.rate and value.burst <= DEFAULT_STORM.burst
    return standing.owns_network and within


def _addresses_allowed(standing: Subject, wishes: Any) -> bool:
    if standing.owns_network or wishes is None:
        return standing.owns
    kept = {fixed.address for fixed in standing.port.fixed_ips} if standing.port else set()
    return standing.owns and all(wish.address is None or wish.address in kept for wish in wishes)


def _owner_word_allowed(standing: Subject, value: str) -> bool:
    # Clouds were taken over by words here that some component trusted (CVE-2015-5240); nothing
    # trusts them in this one, and a tenant still may not look like infrastructure.
    may = standing.owns or standing.user.may_bind
    return standing.user.is_operator or (may and not value.lower().startswith(NETWORKS_OWN))


DEVICE = AttributeRule(
    "its owner, the operator or a service",
    lambda standing, _: standing.owns or standing.user.may_bind,
)
OWNER = AttributeRule("its owner or the operator", lambda standing, _: standing.owns)
OPERATOR = AttributeRule("the operator", lambda standing, _: standing.user.is_operator)
BINDER = AttributeRule(
    "the operator or a service",
    lambda standing, _: standing.user.may_bind,
)
NETWORK_OWNER = AttributeRule(
    "the operator, or on an isolated network by its owner",
    lambda standing, _: standing.owns_network,
)
OWN_PROJECT = AttributeRule(
    "the operator, to a project other than the user's own",
    lambda standing, value: standing.user.is_operator or value == standing.user.project_id,
    is_policy=False,
)
STORM = AttributeRule(
    f"the operator, or on an isolated network by its owner up to rate {DEFAULT_STORM.rate} and "
    f"burst {DEFAULT_STORM.burst}",
    _storm_allowed,
)
ADDRESSES = AttributeRule(
    "the operator, or on an isolated network by its owner, to an address; others name a subnet",
    _addresses_allowed,
)
DEVICE_OWNER = AttributeRule(
    f"the operator to a value that begins with '{NETWORKS_OWN}'",
    _owner_word_allowed,
)
