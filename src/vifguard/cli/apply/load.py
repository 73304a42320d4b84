"""YAML as the cloud file needs it: bounded, and without the surprises of YAML 1.1.

There `no` is false, 52:54:00:12:34:56 is a number in base 60, and the second of two equal
keys wins. Here a scalar is a string unless it is true, false, null or a plain integer; equal
keys are refused, and so are aliases, with which a short text unfolds into a huge one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 4 << 20
MAX_DEPTH = 12


class DocumentError(Exception):
    """The file cannot be read as a cloud file; the message has the place and the reason."""


class RepeatedKeyError(DocumentError):
    """A file that declares keys twice: `problems` has a line each, `content` the first of each."""

    def __init__(self, problems: list[str], content: Any) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.content = content


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema without floats, aliases and tags of one's own."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  as the base class declares it
    depth = 0

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[str] = []

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's own
        if isinstance(event, yaml.AliasEvent):
            raise _at(event.start_mark, "aliases (*name) are not supported")
        if event.tag is not None:
            raise _at(event.start_mark, "tags (!name) are not supported")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _at(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  the base class's signature
        # Keys are names: always text, though they look like numbers.
        mapping: dict[Any, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _at(key.start_mark, "a key is not plain text")
            if key.value in mapping:
                line = key.start_mark.line + 1
                self.repeated.append(f"line {line}: {key.value!r} is declared twice")
                continue
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(true|false)\Z", re.ASCII), list("tf")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"-?(0|[1-9][0-9]{0,18}|0x[0-9A-Fa-f]{1,16})\Z", re.ASCII),
    list("-0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"(null|~|)\Z", re.ASCII), ["n", "~", ""]
)


def read_document(path: Path) -> Any:
    """The file's content as mappings, lists, strings, integers, booleans and None.

    Raises DocumentError.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{path} is larger than {MAX_BYTES >> 20} MiB: split it")
    try:
        return parse_document(content.decode())
    except RepeatedKeyError as error:
        raise RepeatedKeyError(
            [f"{path}: {one}" for one in error.problems], error.content
        ) from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not UTF-8: {error}") from None
    except DocumentError as error:
        raise DocumentError(f"{path}: {error}") from None


def parse_document(text: str) -> Any:
    """The same of a text."""
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise DocumentError(f"{where}{error.problem}") from None
    except yaml.YAMLError as error:
        raise DocumentError(str(error)) from None
    if loader.repeated:
        raise RepeatedKeyError(loader.repeated, content)
    return content


def _at(mark: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
