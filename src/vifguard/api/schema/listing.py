"""Lists: filters by equality, fields, sorting, and pages with links, as Neutron has them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self
from urllib.parse import urlencode

from vifguard.attributes.refusal import Refusal, bad_request, invalid_input
from vifguard.attributes.rules import User
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.values.converters import NUMERAL, boolean, integer
from vifguard.model.address import AddressError, Mac, parse_address, quoted

Shown = dict[str, Any]

_WORDS = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"})
_TAGS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})
_SINCE = "changed_since"
_OF_ADDRESSES = ("ip_address", "subnet_id", "ip_address_substr")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|\+00:00)?", re.ASCII)
_SCALAR = frozenset({"string", "integer", "boolean"})


@dataclass(frozen=True, slots=True)
class Listing:
    """The filters, the order and the page of one list."""

    resource: ResourceSchema
    user: User
    url: str
    query: Sequence[tuple[str, str]]
    filters: Mapping[str, tuple[str, ...]]
    fields: frozenset[str]
    sort: tuple[tuple[str, bool], ...]
    limit: int
    marker: str | None
    backwards: bool

    @classmethod
    def parse(
        cls, resource: ResourceSchema, user: User, query: Sequence[tuple[str, str]], url: str
    ) -> Self:
        """Read a query; raises Refusal for an unknown attribute, or a value it cannot have."""
        given: dict[str, list[str]] = defaultdict(list)
        for name, value in query:
            given["project_id" if name == "tenant_id" else _current(resource, name)].append(value)
        filters = {name: tuple(values) for name, values in given.items() if name not in _WORDS}
        for name, values in filters.items():
            _require_filter(resource, name, values)
        return cls(
            resource,
            user,
            url,
            query,
            filters,
            frozenset(_current(resource, field) for field in given["fields"] if field),
            _sort(
                resource,
                [_current(resource, key) for key in given["sort_key"]],
                given["sort_dir"],
            ),
            _number("limit", _last(given["limit"]) or "0"),
            _last(given["marker"]),
            _flag("page_reverse", _last(given["page_reverse"]) or "false"),
        )

    def answer(self, shown: Sequence[Shown]) -> dict[str, Any]:
        """The body of the answer, from every object this user may see."""
        chosen = self._sorted([each for each in self._visible_fields(shown) if self._matches(each)])
        start, end = self._bounds(chosen)
        ids = [each[self.resource.key] for each in chosen[start:end]]
        return self._body(chosen[start:end], ids, (start > 0, end < len(chosen)))

    def page(self, shown: Sequence[Shown]) -> dict[str, Any]:
        """The body of the answer where the list was filtered and cut as it was read.

        `shown` may hold one more than is asked for, beyond the page.
        """
        found = self._sorted(self._visible_fields(shown))
        ids = [each[self.resource.key] for each in found]
        return self.cut_page(ids, dict(zip(ids, found, strict=True)))

    def cut_page(self, ids: Sequence[str], shown: Mapping[str, Any]) -> dict[str, Any]:
        """The same for objects in order, each shown as it is to be written."""
        more = 0 < self.limit < len(ids)
        if more:
            ids = ids[1:] if self.backwards else ids[:-1]
        marked = self.marker is not None
        beyond = (more, marked) if self.backwards else (marked, more)
        return self._body([shown[ident] for ident in ids], ids, beyond)

    def no_marker(self) -> Refusal:
        """404: the marker is not in the list."""
        message = f"The marker {quoted(self.marker)} is not in the list."
        return Refusal(404, "MarkerNotFound", message)

    def _visible_fields(self, shown: Sequence[Shown]) -> Sequence[Shown]:
        """Remove the attributes that are hidden from this user."""
        for name in self.resource.hidden_from(self.user):
            for each in shown:
                each.pop(name, None)
        return shown

    def _sorted(self, shown: Sequence[Shown]) -> list[Shown]:
        chosen = list(shown)
        for key, descending in reversed(self.sort):
            chosen.sort(key=partial(_rank, self.resource, key), reverse=descending)
        return chosen

    def _matches(self, each: Shown) -> bool:
        # An attribute that is only a filter is shown nowhere: the handler has applied it.
        shown = self.filters.keys() - set(self.resource.filters)
        return all(_has_value(each, name, self.filters[name]) for name in shown)

    def _bounds(self, chosen: list[Shown]) -> tuple[int, int]:
        start, end = 0, len(chosen)
        if self.marker is not None:
            at = self._marked(chosen)
            start, end = (0, at) if self.backwards else (at + 1, end)
        if self.limit:
            if self.backwards:
                start = max(start, end - self.limit)
            else:
                end = min(end, start + self.limit)
        return start, end

    def _body(
        self, page: Sequence[Any], ids: Sequence[str], beyond: tuple[bool, bool]
    ) -> dict[str, Any]:
        if self.fields:
            page = [{k: v for k, v in each.items() if k in self.fields} for each in page]
        body: dict[str, Any] = {self.resource.many: page}
        links = []
        before, behind = beyond
        if self.limit and ids and behind:
            links.append(self._link("next", ids[-1], backwards=False))
        if self.limit and ids and before:
            links.append(self._link("previous", ids[0], backwards=True))
        return body | ({f"{self.resource.many}_links": links} if links else {})

    def _marked(self, chosen: list[Shown]) -> int:
        for index, each in enumerate(chosen):
            if each[self.resource.key] == self.marker:
                return index
        raise self.no_marker()

    def _link(self, rel: str, marker: str, *, backwards: bool) -> dict[str, str]:
        rest = [(k, v) for k, v in self.query if k not in {"marker", "page_reverse"}]
        reverse = [("page_reverse", "True")] if backwards else []
        query = urlencode([*rest, ("marker", marker), *reverse])
        return {"rel": rel, "href": f"{self.url}?{query}"}


def _current(resource: ResourceSchema, name: str) -> str:
    return resource.former_names.get(name, name)


def _has_value(each: Shown, name: str, values: Sequence[str]) -> bool:
    if name in _TAGS:
        return all(_tagged(set(each["tags"]), name, set(value.split(","))) for value in values)
    if name == _SINCE:
        # Times written alike are in the order of their letters.
        return all(str(each["updated_at"])[:19] >= value[:19] for value in values)
    if name == "fixed_ips":
        return _has_address(each["fixed_ips"], values)
    return any(_equal(each.get(name), wanted, name) for wanted in values)


def _tagged(has: set[str], name: str, wanted: set[str]) -> bool:
    found = bool(has & wanted) if name.endswith("-any") else wanted <= has
    return found is not name.startswith("not-")


def _has_address(entries: Sequence[Mapping[str, str]], values: Sequence[str]) -> bool:
    """Whether one entry has, for each key of the filter, one of its values."""
    asked: dict[str, set[str]] = defaultdict(set)
    for value in values:
        key, _, wanted = value.partition("=")
        asked[key].add(_canonical(wanted) if key == "ip_address" else wanted)
    return any(all(_entry_has(entry, *each) for each in asked.items()) for entry in entries)


def _entry_has(entry: Mapping[str, str], key: str, wanted: set[str]) -> bool:
    if key == "ip_address_substr":
        return any(part in entry["ip_address"] for part in wanted)
    return entry.get(key) in wanted


def _require_filter(resource: ResourceSchema, name: str, values: Sequence[str]) -> None:
    if name == _SINCE and "updated_at" in resource.by_name:
        if not all(_is_time(value) for value in values):
            raise Refusal(
                400,
                "InvalidInput",
                "Invalid input for operation: The input changed_since must be in the following "
                "format: YYYY-MM-DDTHH:MM:SSZ.",
            )
        return
    attribute = resource.by_name.get("tags" if name in _TAGS else name)
    if attribute is None or not _can_filter(attribute.converter.schema):
        raise bad_request(f"[{quoted(name)}] is invalid attribute for filtering: no such filter.")
    for value in values if name == "fixed_ips" else ():
        if value.partition("=")[0] not in _OF_ADDRESSES:
            words = ", ".join(f"{word}=..." for word in _OF_ADDRESSES)
            reason = f"{quoted(value)} is none of {words}"
            raise invalid_input(f"Invalid input for fixed_ips. Reason: {reason}.")


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return _TIME.fullmatch(value) is not None


def _can_filter(schema: Mapping[str, Any]) -> bool:
    if "anyOf" in schema:
        return any(_can_filter(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        items = schema["items"]
        return _can_filter(items) or set(items.get("properties", ())) == {"subnet_id", "ip_address"}
    return "enum" in schema or schema.get("type") in _SCALAR


def _equal(value: Any, wanted: str, name: str) -> bool:
    match value:
        case None:
            return not wanted
        case bool():
            return value is _flag(name, wanted)
        case int():
            return str(value) == wanted
        case list():
            return any(_in_list(each, wanted) for each in value)
    same: bool = value == wanted or (name == "mac_address" and value == _canonical_mac(wanted))
    return same


def _in_list(each: Any, wanted: str) -> bool:
    if isinstance(each, dict):  # addresses=ip_address=10.0.0.5
        key, _, value = wanted.partition("=")
        return key in each and each[key] == (_canonical(value) if key == "ip_address" else value)
    return str(each) == wanted


def _canonical(text: str) -> str:
    try:
        return str(parse_address(text))
    except AddressError:
        return text


def _canonical_mac(text: str) -> str:
    try:
        return str(Mac.parse(text))
    except AddressError:
        return text


def _sort(
    resource: ResourceSchema, keys: Sequence[str], directions: Sequence[str]
) -> tuple[tuple[str, bool], ...]:
    if directions and len(directions) != len(keys):
        raise bad_request("The number of sort_keys and sort_dirs must be same")
    for key in keys:
        if key not in resource.by_name or not _can_filter(resource.by_name[key].converter.schema):
            raise bad_request(f"{quoted(key)} is an invalid attribute for sort key")
    for direction in directions:
        if direction not in {"asc", "desc"}:
            raise bad_request(f"sort_dir is {quoted(direction)}; it must be asc or desc")
    chosen = directions or ["asc"] * len(keys)
    return tuple((key, way == "desc") for key, way in zip(keys, chosen, strict=True))


def _rank(resource: ResourceSchema, key: str, each: Shown) -> tuple[bool, str | int]:
    value, schema = each.get(key), resource.by_name[key].converter.schema
    is_numeral = any(one.get("pattern") == NUMERAL for one in schema.get("anyOf", [schema]))
    return _sortable(value if value is None or not is_numeral else int(value))


def _sortable(value: Any) -> tuple[bool, str | int]:
    # No value comes first; a value that is neither number nor text sorts by its text form.
    return (value is not None, value if isinstance(value, int) else str(value))


def _number(name: str, value: str) -> int:
    try:
        number: int = integer(0, 10**9).read(value)
    except ValueError as error:
        message = f"Bad {name} request: {error}."
        raise Refusal(400, "BadRequest", message) from None
    return number


def _flag(name: str, value: str) -> bool:
    try:
        flag: bool = boolean.read(value)
    except ValueError as error:
        raise invalid_input(f"Invalid input for {name}. Reason: {error}.") from None
    return flag


def _last(values: Sequence[str]) -> str | None:
    return values[-1] if values else None
