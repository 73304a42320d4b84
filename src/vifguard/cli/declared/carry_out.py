"""Takes the steps, mostly one request each, and takes them back when the server refuses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vifguard.cli.declared import rules
from vifguard.cli.declared.difference import Create, Delete, Step, Update
from vifguard.cli.declared.nouns import NOUN_OF, Item, Made
from vifguard.cli.exits import HalfwayError
from vifguard.client.errors import ClientError
from vifguard.client.resource import ADDRESS_GROUP, SECURITY_GROUP, Resource
from vifguard.model.address import parse_prefix

if TYPE_CHECKING:
    from vifguard.client.client import Client

Tell = Callable[[Step], None]


def carry_out(client: Client, steps: Sequence[Step], tell: Tell) -> None:
    """Take the steps in order; `tell` hears of each one taken.

    When one fails, those taken are undone, the last first, and HalfwayError is raised. A
    deletion cannot be undone: deletions are the last steps.
    """
    ids: dict[Made, str] = {}
    taken: list[Step] = []
    for step in steps:
        try:
            _take(client, step, ids)
        except (ClientError, KeyboardInterrupt) as error:
            raise HalfwayError(str(step), error, list(_undo(client, taken, ids))) from error
        taken.append(step)
        tell(step)


def _take(client: Client, step: Step, ids: dict[Made, str]) -> None:
    match step:
        case Create(resource=rules.RULES):
            body = api_body(step.resource, step.values, {}, ids)
            _set(client, step.resource, ids[_group_of(step)], body)
        case Create():
            body = {"name": step.name, "project_id": step.project}
            body |= api_body(step.resource, step.values, {}, ids)
            ids[step.made] = client.create(step.resource, body)["id"]
        case Update():
            body = api_body(step.resource, step.values, step.current, ids)
            _set(client, step.resource, step.current["id"], body)
        case Delete():
            client.delete(step.resource, step.current["id"])


def _set(client: Client, resource: Resource, key: str, body: Mapping[str, Any]) -> None:
    """Change an object, and what is beside it, which no update of it changes."""
    beside = {each.attribute.name for each in NOUN_OF[resource].fields if each.beside}
    own = {name: value for name, value in body.items() if name not in beside}
    if own:
        client.update(resource, key, own)
    for name in body.keys() & beside:
        if resource == rules.RULES:
            rules.set_rules(client, key, body[name])
        else:
            _set_addresses(client, key, body[name])


def _set_addresses(client: Client, key: str, wanted: Sequence[str]) -> None:
    has = set(client.show(ADDRESS_GROUP, key)["addresses"])
    wants = {str(parse_prefix(text)) for text in wanted}
    if new := sorted(wants - has):
        client.add_addresses(key, new)
    if old := sorted(has - wants):
        client.remove_addresses(key, old)


def _group_of(step: Create) -> Made:
    return Made(SECURITY_GROUP, step.project, step.name)


def _undo(client: Client, taken: Sequence[Step], ids: Mapping[Made, str]) -> Iterator[str]:
    """Take steps back; a line for each that says what became of it."""
    if not taken:
        yield "nothing was changed"
    for step in reversed(taken):
        try:
            yield _take_back(client, step, ids)
        except ClientError as error:
            yield f"could not take back {step}: {error}"


def _take_back(client: Client, step: Step, ids: Mapping[Made, str]) -> str:
    match step:
        case Create(resource=rules.RULES):
            return f"{step} go with their group"
        case Create():
            client.delete(step.resource, ids[step.made])
            return f"deleted {step} again"
        case Update():
            _set(client, step.resource, step.current["id"], before(step))
            return f"changed {step} back"
        case Delete():
            return f"{step} is deleted and stays so"


def before(step: Update) -> dict[str, Any]:
    """The body that gives an object the values it had before the step."""
    fields = NOUN_OF[step.resource].by_name
    keys = [fields[name].attribute.name for name in step.values]
    return {key: step.current[key] for key in keys}


def api_body(
    resource: Resource, values: Mapping[str, Any], current: Item, ids: Mapping[Made, str]
) -> dict[str, Any]:
    """The values as the API takes them, with the ids of what this run has created."""
    fields = NOUN_OF[resource].by_name
    body = {fields[name].attribute.name: _with_ids(value, ids) for name, value in values.items()}
    if values.get("physical_network") is not None:
        body["provider:network_type"] = "flat"
    if "interface" in values:
        # The profile may carry more than ours: a hypervisor's own words stay.
        profile = current.get("binding:profile", {})
        others = {key: value for key, value in profile.items() if key != "interface"}
        body["binding:profile"] = others | values["interface"]
    return body


def _with_ids(value: Any, ids: Mapping[Made, str]) -> Any:
    match value:
        case Made():
            return ids[value]
        case dict():
            return {key: _with_ids(one, ids) for key, one in value.items()}
        case list():
            return [_with_ids(one, ids) for one in value]
        case _:
            return value
