"""docs/policy.md, printed from the table of policy: `python -m vifguard.api.policy_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from vifguard.api.app import RESOURCES, SERVED
from vifguard.api.attributes import Resource
from vifguard.api.policy import ROLES, line
from vifguard.api.who import OWNER, Rule

_PREFACE = """\
# Who may do what

Printed from the table of policy that the server decides by;
`python -m vifguard.api.policy_page > docs/policy.md` prints it anew. What has no line is denied.

## Actions

* **all**: whichever project the object is of.
* **own**: the objects of one's own project, and to read those that are shared with it. Another
  project's object is 404 and answered in the same words, after the same queries, as one that
  does not exist. Of what is shared, some things are the owner's: those are 403.
* **its host**: the feed and the reports of the host that the user's credential names.
* **here**: who asks from this machine itself, with or without a name, and not through a proxy.
* **no**: 403; for nobody, who has not said who it is, 401.

`admin` is the operator. `service` is a hypervisor's hook: of a port it changes the binding alone.
`agent` is one host's agent. A user with several roles may what one of them may."""

_ATTRIBUTES = """\
## Attributes

Whoever may do the action may still not choose every value. Here is who may, attribute by
attribute; an attribute that no request may hold has no line. Everything else is for {owner}."""


def page() -> str:
    """The whole page, in Markdown."""
    rows = [
        (f"{method} {path}", *(getattr(line(action), role) for role in ROLES))
        for method, path, action in actions()
    ]
    resources = {id(resource): resource for resource in RESOURCES.values()}.values()
    chosen = [row for resource in resources for row in _attributes(resource)]
    sections = [
        _PREFACE,
        _table(("action", *ROLES), rows),
        _ATTRIBUTES.format(owner=OWNER.words),
        _table(("attribute", "at creation", "later", "seen by"), chosen),
    ]
    return "\n\n".join(sections) + "\n"


def actions() -> list[tuple[str, str, str]]:
    """Method, path and action of every route, in the order of the paths."""
    found = [
        (method, prefix + str(getattr(route, "path", "")), str(getattr(route, "name", "")))
        for prefix, router in SERVED
        for route in router.routes
        for method in sorted(getattr(route, "methods", ()))
    ]
    return sorted(found, key=lambda each: (each[1], each[0]))


def _attributes(resource: Resource) -> Iterator[tuple[str, ...]]:
    for each in resource.attributes:
        rules = (each.post, each.put)
        if any(rule not in {None, OWNER} for rule in rules) or each.seen_by is not None:
            seen = "everybody" if each.seen_by is None else each.seen_by.words
            yield (f"{resource.one}: `{each.name}`", *map(_words, rules), seen)


def _words(rule: Rule | None) -> str:
    return "not to be set" if rule is None else rule.words


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(page())
