"""Options that several commands have: declared once, added to each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

Options = Mapping[str, tuple[Any, Any]]
"""Annotation and default of each option, by the name of its parameter."""

Command = Callable[..., None]


def with_options(
    parameter: str, options: Options, make: Callable[..., Any]
) -> Callable[[Command], Command]:
    """Add options to a command instead of one of its parameters.

    `make` gets the options by name, and gives the parameter's value.
    """
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in options.items()
    ]

    def decorate(command: Command) -> Command:
        own = dict(inspect.signature(command, eval_str=True).parameters)
        own.pop(parameter)

        @functools.wraps(command)
        def run(*arguments: Any, **named: Any) -> None:
            value = make(**{name: named.pop(name) for name in options})
            command(*arguments, **{parameter: value}, **named)

        mine = [each.replace(kind=_kind(each)) for each in own.values()]
        run.__signature__ = inspect.Signature([*mine, *added])  # type: ignore[attr-defined]  # PEP 362
        del run.__wrapped__  # inspect would follow it to other options
        run.__annotations__ = {each.name: each.annotation for each in (*mine, *added)}
        return run

    return decorate


def _kind(parameter: inspect.Parameter) -> Any:
    # A session is given by place, and everything else by name.
    return parameter.kind if parameter.name == "session" else inspect.Parameter.KEYWORD_ONLY
