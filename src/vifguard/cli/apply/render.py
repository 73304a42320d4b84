"""A difference in words: a line a step for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from vifguard.cli.apply.diff import Create, Delete, Step, Update, shown
from vifguard.cli.apply.fields import CreatedReference
from vifguard.cli.apply.prune import Kept
from vifguard.cli.apply.schema import NOUN_OF


def line_of(step: Step, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """A step as a person reads it: `+` created, `~` changed, `-` deleted.

    `names` are those of objects by their ids.
    """
    match step:
        case Create():
            fields = ", ".join(
                f"{name}: {shown(value, names)}" for name, value in step.values.items()
            )
            return f"+ {step}" + (f" ({fields})" if fields else "")
        case Update():
            fields = ", ".join(
                f"{name}: {shown(old, names)} -> {shown(new, names)}"
                for name, (old, new) in _old_and_new(step).items()
            )
            return f"~ {step} ({fields})"
        case Delete():
            return f"- {step}"


def change_of(step: Step) -> Mapping[str, Any]:
    """A step as a program reads it; a reference to an object to come is its name."""
    change = {"noun": step.resource.noun, "project_id": step.project, "name": step.name}
    match step:
        case Create():
            return {"action": "create", **change, "fields": _plain(dict(step.values))}
        case Update():
            fields = {
                name: {"from": old, "to": _plain(new)}
                for name, (old, new) in _old_and_new(step).items()
            }
            return {"action": "update", **change, "id": step.current["id"], "fields": fields}
        case Delete():
            return {"action": "delete", **change, "id": step.current["id"]}


def kept_of(kept: Kept) -> Mapping[str, Any]:
    """An object that is not deleted, and the obstacles, as a program reads them."""
    one = kept.surplus
    known = {"noun": one.resource.noun, "project_id": one.project, "name": one.name}
    return {**known, "id": one.current["id"], "stands": [*kept.stands]}


def _old_and_new(step: Update) -> dict[str, tuple[Any, Any]]:
    fields = NOUN_OF[step.resource].by_name
    return {
        name: (fields[name].present_value(step.current.get(fields[name].attribute.name)), value)
        for name, value in step.values.items()
    }


def _plain(value: Any) -> Any:
    match value:
        case CreatedReference():
            return {"name": value.name}
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case _:
            return value
