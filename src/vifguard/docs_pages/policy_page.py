"""docs/policy.md, from the table of policy: `python -m vifguard.docs_pages.policy_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from vifguard.api.access.policy import ROLES, action_policy
from vifguard.api.app import RESOURCES, SERVED
from vifguard.attributes.rules import OWNER, AttributeRule
from vifguard.attributes.schema import ResourceSchema
from vifguard.docs_pages.markdown import table

_PREFACE = """\
# Who may do what

Printed from the table of policy that the server decides by;
`python -m vifguard.docs_pages.policy_page > docs/policy.md` prints it anew.
What has no line is denied.

## Actions

* **all**: whichever project the object is of.
* **own**: the objects of one's own project, and to read those that are shared with it. Another
  project's object is 404 and answered in the same words, after the same queries, as one that
  does not exist. Of what is shared, some things are the owner's: those are 403.
* **its host**: the feed and the reports of the host that the user's credential names.
* **here**: who asks from this machine itself, with or without a name, and not through a proxy.
* **no**: 403; for nobody, who has not said who it is, 401.

`admin` is the operator. `service` is a hypervisor's hook: of a port it changes the binding alone.
`agent` is one host's agent. A user with several roles may what one of them may.

Which host a port is on, what that host says of its interfaces, and whose neighbours' things stand
in the way of a change, is told to the operator and to a service. Everybody else reads the same
without names: in `status_reason`, `GET /v2.0/vifguard/capabilities` and refusals."""

_ATTRIBUTES = """\
## Attributes

Whoever may do the action may still not choose every value. Here is who may, attribute by
attribute; an attribute that no request may hold has no line. Everything else is for {owner}.

What an owner may choose on an isolated network alone would hold for its guests' neighbours once
the network is shared. So a network that holds such a choice, or whose ports or IP groups do, is
not shared (409 `InvalidSharedSetting`, which names what stands in the way), whoever asks and by
whichever way: `shared` or an RBAC policy. The operator's request may name what the network itself
holds (`vifguard network set lan --shared --guard-profile mac`), and it is shared with that;
nothing else is taken by being named: it is set back to its default before, and chosen again by
the operator once the network is shared.

These choices stand in the way: lowered guards (`guard_profile`, `guards`,
`port_security_enabled`), `link_local`, `learned_limits` and `storm` of the network; of a port its
guards, roles, `ethertypes`, `storm`, `binding:vnic_type`, MAC, address pairs, more than five
addresses, and addresses that no pool gives; of an IP group addresses that no pool gives; and a
subnet in `169.254.0.0/16`. `mtu`, `dns_domain` and `availability_zone_hints` do not: no frame that
may pass depends on them. They stay as the owner chose them, and once the network is shared the
operator alone changes them, as the network itself."""


def page() -> str:
    """The whole page, in Markdown."""
    rows = [
        (f"{method} {path}", *(getattr(action_policy(action), role) for role in ROLES))
        for method, path, action in actions()
    ]
    resources = {id(resource): resource for resource in RESOURCES.values()}.values()
    chosen = [row for resource in resources for row in _attributes(resource)]
    sections = [
        _PREFACE,
        table(("action", *ROLES), rows),
        _ATTRIBUTES.format(owner=OWNER.requirement),
        table(("attribute", "at creation", "later", "seen by"), chosen),
    ]
    return "\n\n".join(sections) + "\n"


def actions() -> list[tuple[str, str, str]]:
    """Method, path and action of every route, in the order of the paths."""
    found = [(route.method, route.path, route.name) for route in SERVED]
    return sorted(found, key=lambda each: (each[1], each[0]))


def _attributes(resource: ResourceSchema) -> Iterator[tuple[str, ...]]:
    for each in resource.attributes:
        rules = (each.post, each.put)
        if any(rule not in {None, OWNER} for rule in rules) or each.visible_to is not None:
            seen = "everybody" if each.visible_to is None else each.visible_to.requirement
            yield (f"{resource.one}: `{each.name}`", *map(_words, rules), seen)


def _words(rule: AttributeRule | None) -> str:
    return "not to be set" if rule is None else rule.requirement


if __name__ == "__main__":
    sys.stdout.write(page())
