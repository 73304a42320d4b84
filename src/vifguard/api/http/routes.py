"""Routes: which handler answers which method at which path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, the handler that answers there, and its words for the OpenAPI document.

    `name` is the action, as the policy has it. `status_code` is the answer's where all went well.
    """

    method: str
    path: str
    name: str
    handler: Handler
    status_code: int
    tag: str
    description: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The parts of the path that stand for any value, in their order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


class Routes:
    """The routes of one resource; its methods are decorators of handlers."""

    def __init__(self, tag: str) -> None:
        """`tag` groups them in the OpenAPI document."""
        self._tag = tag
        self._routes: list[Route] = []

    def under(self, prefix: str) -> Iterator[Route]:
        """The routes, each with a prefix before its path."""
        return (replace(route, path=prefix + route.path) for route in self._routes)

    def get(
        self, path: str, *, name: str, status_code: int = 200, description: str = ""
    ) -> Callable[[H], H]:
        """Answer GET, and HEAD with it."""
        return self._add("GET", path, name, status_code, description)

    def post(
        self, path: str, *, name: str, status_code: int = 200, description: str = ""
    ) -> Callable[[H], H]:
        """Answer POST."""
        return self._add("POST", path, name, status_code, description)

    def put(
        self, path: str, *, name: str, status_code: int = 200, description: str = ""
    ) -> Callable[[H], H]:
        """Answer PUT."""
        return self._add("PUT", path, name, status_code, description)

    def delete(
        self, path: str, *, name: str, status_code: int = 200, description: str = ""
    ) -> Callable[[H], H]:
        """Answer DELETE."""
        return self._add("DELETE", path, name, status_code, description)

    def _add(
        self, method: str, path: str, name: str, status_code: int, description: str
    ) -> Callable[[H], H]:
        def add(handler: H) -> H:
            words = description or inspect.getdoc(handler) or ""
            self._routes.append(Route(method, path, name, handler, status_code, self._tag, words))
            return handler

        return add
