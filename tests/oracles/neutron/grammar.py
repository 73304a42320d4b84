"""What both servers are asked: each attribute of each resource with each value, good and bad.

A value is tried in a POST, in a PUT of an object made for it, and as a filter of a list; then
come lists in every order and in parts, several objects at once, tags, and what is no request.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tests.oracles.neutron.nouns import NOBODY, NOUNS, Noun

SEED: Final = 29
_PAIRS: Final = 20
"""Of each noun, POSTs with two attributes at once, by chance."""


@dataclass(frozen=True)
class Case:
    """One question: its key, which is unique and readable, and how it is asked.

    `{made}` in the path is the id of an object that is made for it; bytes are a body as it is
    sent. `name` is the attribute whose value is compared.
    """

    noun: Noun
    key: str
    verb: str
    path: str
    body: Any = None
    name: str = ""

    @property
    def is_list(self) -> bool:
        """Whether it asks for what is there, and changes nothing."""
        return self.verb == "GET" and "{made}" not in self.path

    @property
    def is_bulk(self) -> bool:
        """Whether it is told how many objects it left behind."""
        return self.verb == "POST" and self.path == self.noun.path and not self.name


_FILTERS: Final = ("", "x", "true")
_QUERIES: Final = (
    *("limit=1", "limit=2", "limit=0", "limit=-1", "limit=x", "limit=1&limit=2", "limit="),
    *("marker=x", f"marker={NOBODY}", f"limit=1&marker={NOBODY}", "limit=1&marker="),
    *("limit=1&page_reverse=True", "page_reverse=x", "page_reverse=True"),
    *("sort_key=x", "sort_key=id&sort_key=id&sort_dir=asc", "sort_dir=asc", "sort_key="),
    *("sort_key=id&sort_dir=up", "sort_key=id&sort_dir=asc&limit=1", "sort_dir=asc&sort_key=id"),
    *("fields=id", "fields=id&fields=project_id", "fields=nonsense", "fields=", "fields=id,name"),
    *("tags=red", "tags=red,blue", "tags-any=red,b", "not-tags=red", "not-tags-any=red", "tags="),
    *("changed_since=x", "changed_since=2026-01-31T12:00:00Z", "changed_since=2999-01-01T00:00:00"),
    *("nonsense=1", "id=a&id=b", "ID=x", "id", "q-invalid=1&fields=id"),
)
ALIKE: Final = frozenset({"created_at", "updated_at", "id", "mac_address", "revision_number"}) | {
    *("network_id", "object_id", "security_group_id", "remote_group_id", "security_groups"),
    *("remote_address_group_id", "subnets"),
}
"""Attributes by which the order of objects is another on each server, or none."""


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 90 else f"{text[:60]}...{len(text)}"


def _of_values(noun: Noun) -> Iterator[Case]:
    for name, values in noun.values.items():
        for value in values:
            told = f"{noun.one} {name}={_text(value)}"
            yield _post(noun, told, noun.base | {name: value}, name)
            if not noun.fixed or name == "description":
                yield Case(noun, f"PUT {told}", "PUT", _one(noun), {noun.one: {name: value}}, name)
    for name in noun.base:
        rest = {key: value for key, value in noun.base.items() if key != name}
        yield _post(noun, f"{noun.one} without {name}", rest, name)
    for name in noun.found:
        yield _post(noun, f"{noun.one}, its {name}", noun.base, name)
        yield Case(
            noun, f"GET {noun.one}, its {name}", "GET", f"{_one(noun)}?fields={name}", None, name
        )


def _post(noun: Noun, told: str, body: Any, name: str) -> Case:
    return Case(noun, f"POST {told}", "POST", noun.path, {noun.one: body}, name)


def _one(noun: Noun) -> str:
    return f"{noun.path}/{{made}}"


def _of_pairs(noun: Noun, chance: random.Random) -> Iterator[Case]:
    names = sorted(noun.values)
    for _ in range(_PAIRS):
        one, other = chance.sample(names, 2)
        fields = {one: chance.choice(noun.values[one]), other: chance.choice(noun.values[other])}
        told = " and ".join(f"{name}={_text(value)}" for name, value in fields.items())
        yield _post(noun, f"{noun.one} {told}", noun.base | fields, one)


def _of_lists(noun: Noun, chance: random.Random) -> Iterator[Case]:
    queries = [*_QUERIES]
    names = list(dict.fromkeys((*noun.found, *noun.values)))
    for name in names:
        values = (*_FILTERS, noun.found.get(name, "")) if name in noun.found else _FILTERS[1:2]
        queries += [f"{name}={_quoted(value)}" for value in values]
        queries.append(f"sort_key={name}&sort_dir={chance.choice(('asc', 'desc'))}")
    for query in queries:
        yield Case(noun, f"GET {noun.many}?{query}", "GET", f"{noun.path}?{query}")


def _quoted(value: str) -> str:
    return value if value.startswith("{") else quote(value)


def _of_bulks(noun: Noun) -> Iterator[Case]:
    """Several objects at once: all are made, or none."""
    bad = noun.base | {"nonsense": 1}
    late = noun.base | {"description": 1}
    bulks = {
        "two": [noun.base, noun.base],
        "two, wrapped": [{noun.one: noun.base}] * 2,
        "one wrapped, one not": [{noun.one: noun.base}, noun.base],
        "one": [noun.base],
        "a bad one last": [noun.base, bad],
        "a bad one first": [bad, noun.base],
        "a bad value last": [noun.base, late],
        "a null": [noun.base, None],
        "a text": ["x", noun.base],
        "a list": [[noun.base]],
        "none": [],
    }
    for told, many in bulks.items():
        yield _several(noun, told, {noun.many: many})
    yield _several(noun, "null", {noun.many: None})
    yield _several(noun, "an object", {noun.many: noun.base})
    yield _several(noun, "both words", {noun.many: [noun.base], noun.one: noun.base})
    yield _several(noun, "one more word", {noun.one: noun.base, "nonsense": 1})
    yield _several(noun, "one as a list", {noun.one: [noun.base]})
    yield _several(noun, "one as null", {noun.one: None})
    yield _several(noun, "no word", noun.base)
    yield _several(noun, "another's word", {"thing": noun.base})


def _several(noun: Noun, told: str, body: Any) -> Case:
    return Case(noun, f"POST {noun.many}: {told}", "POST", noun.path, body)


def _of_paths(noun: Noun, verbs: tuple[str, ...] = ("GET", "HEAD", "DELETE")) -> Iterator[Case]:
    one, many = _one(noun), noun.path
    asked = {
        f"HEAD {many}": ("HEAD", many),
        f"GET {many}.json": ("GET", f"{many}.json"),
        f"GET {many}/": ("GET", f"{many}/"),
        f"PATCH {many}": ("PATCH", many),
        f"PUT {many}": ("PUT", many),
        f"DELETE {many}": ("DELETE", many),
        f"PATCH {many}/ID": ("PATCH", one),
        f"POST {many}/ID": ("POST", one),
        f"GET {many}/ID.json": ("GET", f"{one}.json"),
        f"GET {many}/ID?fields=id": ("GET", f"{one}?fields=id"),
        f"GET {many}/ID?fields=nonsense": ("GET", f"{one}?fields=nonsense"),
        f"GET {many}/ID?nonsense=1": ("GET", f"{one}?nonsense=1"),
        f"GET {many}/ID/nonsense": ("GET", f"{one}/nonsense"),
        f"GET {many}/new": ("GET", f"{many}/new"),
    }
    for verb in verbs:
        asked[f"{verb} {many}/ID"] = (verb, one)
        for ident in (NOBODY, "x", NOBODY.upper(), "a%20b"):
            asked[f"{verb} {many}/{ident}"] = (verb, f"{many}/{ident}")
    for key, (verb, path) in asked.items():
        body = {noun.one: {}} if verb in {"PUT", "POST", "PATCH"} else None
        yield Case(noun, key, verb, path, body)
    body = {noun.one: {}}
    yield Case(noun, f"PUT {many}/{NOBODY}", "PUT", f"{many}/{NOBODY}", body)
    yield Case(noun, f"PUT {many}/ID, nothing", "PUT", one, body)
    for told, raw in _NO_JSON.items():
        yield Case(noun, f"POST {many}, {told}", "POST", many, raw)
        yield Case(noun, f"PUT {many}/ID, {told}", "PUT", one, raw)


_NO_JSON: Final = {
    "no body": b"",
    "half of JSON": b'{"x": ',
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "an empty object": b"{}",
}


def _of_tags(noun: Noun) -> Iterator[Case]:
    where, many = f"{_one(noun)}/tags", f"{noun.path}/ID/tags"
    for verb in ("PUT", "POST"):
        for value in _TAGS if noun.one in {"network", "port"} else _TAGS[:2]:
            yield Case(noun, f"{verb} {many}={_text(value)}", verb, where, {"tags": value})
        yield Case(noun, f"{verb} {many}, no word", verb, where, {})
        yield Case(noun, f"{verb} {many}, one more word", verb, where, {"tags": [], "x": 1})
    for verb in ("GET", "DELETE", "HEAD"):
        yield Case(noun, f"{verb} {many}", verb, where)
        yield Case(noun, f"{verb} {many}/x", verb, f"{where}/x")
        yield Case(noun, f"{verb} {noun.path}/{NOBODY}/tags", verb, f"{noun.path}/{NOBODY}/tags")
    for tag in ("x", "a%20b", "a%2Cb", "a,b", "x" * 256, "a%2Fb", "%D8%A7"):
        yield Case(noun, f"PUT {many}/{tag[:60]}", "PUT", f"{where}/{tag}")


_TAGS: Final = (
    *(["a", "b"], ["a"] * 256, [], ["a"], ["a,b"], ["a/b"], [" a "], ["\u0645"]),
    *([f"t{each}" for each in range(51)], None, "a", 1, [1], {}, ["a" * 256], ["a", "a"]),
    *([""], [["a"]]),
)


def _of_addresses(noun: Noun) -> Iterator[Case]:
    for verb in ("add_addresses", "remove_addresses"):
        for value in (
            *([], None, "x", ["x"], [1], ["10.0.0.0/8"], ["10.1.2.3"], ["10.1.2.3/24"]),
            *(["10.1.0.0/16"] * 2, ["2001:db8::/32", "10.1.0.0/16"]),
        ):
            key = f"PUT {noun.path}/ID/{verb} addresses={_text(value)}"
            yield Case(noun, key, "PUT", f"{_one(noun)}/{verb}", {"addresses": value})
            wrapped = {noun.one: {"addresses": value}}
            yield Case(noun, f"{key}, wrapped", "PUT", f"{_one(noun)}/{verb}", wrapped)


def cases() -> list[Case]:
    """Every question, each once, in an order that the seed fixes."""
    chance = random.Random(SEED)
    found: dict[str, Case] = {}
    for noun in NOUNS:
        asked = [*_of_values(noun), *_of_pairs(noun, chance), *_of_bulks(noun), *_of_paths(noun)]
        if noun.tagged:
            asked += _of_tags(noun)
        if "addresses" in noun.values:
            asked += _of_addresses(noun)
        for case in (*asked, *_of_lists(noun, chance)):
            found.setdefault(case.key, case)
    return list(found.values())
