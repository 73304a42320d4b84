"""The execution of steps: new objects of one noun together; taken back when one fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vifguard.cli.apply import prune, rules
from vifguard.cli.apply.diff import Create, Delete, Step, Update
from vifguard.cli.apply.fields import CreatedReference, Item
from vifguard.cli.apply.schema import NOUN_OF
from vifguard.cli.apply.separate_requests import MARK
from vifguard.cli.exit_codes import HalfwayError
from vifguard.client.errors import ChangedError, ClientError, NotFoundError, RefusedError
from vifguard.client.resource import PORT, SECURITY_GROUP, ResourceType

if TYPE_CHECKING:
    from vifguard.client.client import Client

TOGETHER = 100
"""New objects in one request, at most."""

_QUICKER = "was changed by somebody else since the plan was made: run apply again"

Tell = Callable[[Step], None]


def carry_out(client: Client, steps: Sequence[Step], tell: Tell) -> None:
    """Take the steps in order; `tell` is called for each one taken.

    When one fails, those taken are undone, the last first, and HalfwayError is raised. A
    deletion cannot be undone: deletions are the last steps.
    """
    deleted = frozenset(step.current["id"] for step in steps if isinstance(step, Delete))
    run = _Run(client, tell, deleted)
    try:
        for batch in _batches(steps):
            run.take(batch)
    except (ClientError, KeyboardInterrupt) as error:
        report = [*run.find_again(error), *run.undo()]
        raise HalfwayError(run.failed, run.explained(error), report) from error


def _batches(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """The steps, new objects of one noun together."""

    def kind(pair: tuple[int, Step]) -> object:
        place, step = pair
        is_object = isinstance(step, Create) and step.resource != rules.RULES
        return step.resource if is_object else place

    for _, pairs in itertools.groupby(enumerate(steps), kind):
        alike = [step for _, step in pairs]
        yield from (alike[at : at + TOGETHER] for at in range(0, len(alike), TOGETHER))


class _Run:
    """One run: the steps taken, and the ids and revisions of objects known by then."""

    def __init__(self, client: Client, tell: Tell, deleted: frozenset[str]) -> None:
        self._client = client
        self._tell = tell
        self._ids: dict[CreatedReference, str] = {}
        self._revisions: dict[str, int | None] = {}
        self._deleted = deleted
        self._taken: list[Step] = []
        self._under_way: Sequence[Step] = ()

    @property
    def failed(self) -> str:
        """The steps that were under way."""
        first, *others = self._under_way
        return f"{first} and {len(others)} more" if others else str(first)

    def explained(self, error: BaseException) -> BaseException:
        """The error, with an explanation where another change came first."""
        is_old = not isinstance(self._under_way[0], Create)
        if isinstance(error, ChangedError):
            why = f"it {_QUICKER}"
        elif isinstance(error, NotFoundError) and is_old:
            why = f"{error.message} Perhaps the object {_QUICKER}"
        else:
            return error
        return type(error)(error.status, error.kind, why, error.detail)

    def take(self, steps: Sequence[Step]) -> None:
        """Take one step, or several that create objects of one noun."""
        self._under_way = steps
        match steps[0]:
            case Create(resource=rules.RULES) as step:
                body = api_body(step.resource, step.values, {}, self._ids)
                self._set(step.resource, self._ids[_group_of(step)], body, None)
            case Create():
                self._create([step for step in steps if isinstance(step, Create)])
                return
            case Update() as step:
                key = step.current["id"]
                revision = self._revisions.get(key, step.current.get("revision_number"))
                body = api_body(step.resource, step.values, step.current, self._ids)
                self._set(step.resource, key, body, revision)
            case Delete() as step:
                prune.delete(self._client, step.resource, step.current, self._deleted)
        self._took(steps[0])

    def _took(self, step: Step) -> None:
        self._taken.append(step)
        self._tell(step)

    def _create(self, steps: Sequence[Create]) -> None:
        try:
            made = self._post(steps)
        except RefusedError:
            if len(steps) == 1:
                raise
            # None of them was made. Taken one by one, the first that fails is found.
            for step in steps:
                self.take([step])
            return
        self._ids |= {step.made: item["id"] for step, item in zip(steps, made, strict=True)}
        self._taken += steps
        for step, item in zip(steps, made, strict=True):
            self._under_way = [step]
            self._finish(step, item)
            self._tell(step)

    def _post(self, steps: Sequence[Create]) -> list[Item]:
        resource = steps[0].resource
        bodies = [
            {"name": step.name, "project_id": step.project}
            | ({"tags": [MARK]} if resource == PORT else {})
            | _bodies(step, self._ids)[0]
            for step in steps
        ]
        if len(bodies) == 1:
            return [self._client.create(resource, bodies[0])]
        return [*self._client.create_many(resource, bodies)]

    def _finish(self, step: Create, item: Item) -> None:
        """Mark a new object, and set the values that it cannot be created with."""
        if MARK not in item["tags"]:
            self._client.set_tags(step.resource, item["id"], [MARK])
        self._set(step.resource, item["id"], _bodies(step, self._ids)[1], None)

    def _set(
        self, resource: ResourceType, key: str, body: Mapping[str, Any], revision: int | None
    ) -> None:
        """Change an object of a revision, and then its values that take requests of their own."""
        beside = {
            field.attribute.name: field.beside
            for field in NOUN_OF[resource].fields
            if field.beside is not None
        }
        own = {name: value for name, value in body.items() if name not in beside}
        if own:
            changed = self._client.update(resource, key, own, revision=revision)
            revision = self._revisions[key] = changed.get("revision_number")
        others = [(change, body[name]) for name, change in beside.items() if name in body]
        if others and revision is not None:
            self._require(resource, key, revision)
        for change, value in others:
            change(self._client, resource, key, value)
        if others:
            self._revisions[key] = self._client.show(resource, key)["revision_number"]

    def _require(self, resource: ResourceType, key: str, revision: int) -> None:
        found = self._client.show(resource, key)["revision_number"]
        if found != revision:
            raise ChangedError(412, "RevisionNumberConstraintFailed", f"it has revision {found}")

    def find_again(self, error: BaseException) -> Iterator[str]:
        """After no answer: find objects that were created all the same; a line where unknown."""
        if isinstance(error, RefusedError):
            return
        for step in self._under_way:
            if not isinstance(step, Create) or step.resource == rules.RULES:
                yield f"whether {step} was taken is not known: run apply again"
            elif step not in self._taken:
                yield from self._find(step)

    def _find(self, step: Create) -> Iterator[str]:
        named = {"name": step.name, "project_id": step.project}
        try:
            found = self._client.list(step.resource, **named)
        except ClientError as error:
            yield f"whether {step} was created is not known ({error}): run apply again"
            return
        mine = [one for one in found if self._is_as_sent(step, one)]
        if len(found) == 1 and mine:
            self._ids[step.made] = mine[0]["id"]
            self._taken.append(step)
        else:
            yield f"{step} does not seem to be created: check before you run apply again"

    def _is_as_sent(self, step: Create, item: Item) -> bool:
        fields = NOUN_OF[step.resource].by_name
        return all(
            fields[name].holds(with_ids(value, self._ids), item)
            for name, value in step.values.items()
            if fields[name].posted
        )

    def undo(self) -> Iterator[str]:
        """Take steps back; a line for each with its result."""
        if not self._taken:
            yield "nothing was changed"
        for step in reversed(self._taken):
            try:
                yield self._take_back(step)
            except ClientError as error:
                yield f"could not undo {step}: {error}"

    def _take_back(self, step: Step) -> str:
        match step:
            case Create(resource=rules.RULES):
                return f"{step} are deleted with their group"
            case Create():
                self._client.delete(step.resource, self._ids[step.made])
                return f"deleted {step} again"
            case Update():
                return self._change_back(step)
            case Delete():
                return f"{step} stays deleted"

    def _change_back(self, step: Update) -> str:
        key, fields = step.current["id"], NOUN_OF[step.resource].by_name
        found = self._client.show(step.resource, key)
        values = {name: with_ids(value, self._ids) for name, value in step.values.items()}
        if not all(
            fields[name].holds(value, found)
            for name, value in values.items()
            if fields[name].attribute.name in found
        ):
            return f"{step} was changed by somebody else meanwhile and is left alone"
        self._set(step.resource, key, before(step), found.get("revision_number"))
        return f"changed {step} back"


def _group_of(step: Create) -> CreatedReference:
    return CreatedReference(SECURITY_GROUP, step.project, step.name)


def _bodies(
    step: Create, ids: Mapping[CreatedReference, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that a new object is created with, and those that are set afterwards."""
    body = api_body(step.resource, step.values, {}, ids)
    later = {each.attribute.name for each in NOUN_OF[step.resource].fields if not each.posted}
    return (
        {name: value for name, value in body.items() if name not in later},
        {name: value for name, value in body.items() if name in later},
    )


def before(step: Update) -> dict[str, Any]:
    """The body that gives an object the values it had before the step."""
    fields = NOUN_OF[step.resource].by_name
    keys = [fields[name].attribute.name for name in step.values]
    return {key: step.current[key] for key in keys}


def api_body(
    resource: ResourceType,
    values: Mapping[str, Any],
    current: Item,
    ids: Mapping[CreatedReference, str],
) -> dict[str, Any]:
    """The values as the API takes them, with the ids of objects that this run has created."""
    fields = NOUN_OF[resource].by_name
    body = {fields[name].attribute.name: with_ids(value, ids) for name, value in values.items()}
    if values.get("physical_network") is not None:
        body["provider:network_type"] = "flat"
    if "interface" in values:
        # The profile may carry more than ours: a hypervisor's own keys stay.
        profile = current.get("binding:profile", {})
        others = {key: value for key, value in profile.items() if key != "interface"}
        body["binding:profile"] = others | values["interface"]
    return body


def with_ids(value: Any, ids: Mapping[CreatedReference, str]) -> Any:
    """The value, with ids for objects that this run has created."""
    match value:
        case CreatedReference():
            return ids[value]
        case dict():
            return {key: with_ids(one, ids) for key, one in value.items()}
        case list():
            return [with_ids(one, ids) for one in value]
        case _:
            return value
