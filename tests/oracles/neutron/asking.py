"""Asking a server: the world it begins with, and what becomes of one case."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.oracles.neutron.grammar import Case, Noun

Ask = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path below /v2.0/ and body to status and document."""

UNTOLD: Final = frozenset(
    {"id", "mac_address", "fixed_ips", "project_id", "created_at", "revision_number", "tags"}
)
"""Attributes whose value is a server's to choose, or another's each time."""


@dataclass(frozen=True)
class World:
    """A server, and the ids of what stands there."""

    ask: Ask
    ids: Mapping[str, str]
    kept: dict[str, str] = field(default_factory=dict)
    """The object that the next PUT is tried on, by its kind."""

    @classmethod
    def made(cls, ask: Ask) -> World:
        """The objects that cases refer to, made on a server that has none."""
        ids: dict[str, str] = {}

        def make(word: str, one: str, path: str, **fields: Any) -> None:
            status, told = ask("POST", path, {one: _filled(fields, ids)})
            if status != 201:
                raise RuntimeError(f"{one}: {status} {told}")
            ids[word] = told[one]["id"]

        make("network", "network", "networks", name="front")
        make("empty", "network", "networks", name="empty")
        on = {"network_id": "{network}"}
        make("subnet", "subnet", "subnets", **on, ip_version=4, cidr="192.0.2.0/24")
        make("subnet6", "subnet", "subnets", **on, ip_version=6, cidr="2001:db8::/64")
        make("group", "security_group", "security-groups", name="web")
        make("addresses", "address_group", "address-groups", addresses=["10.0.0.0/8"])
        make("pool", "subnetpool", "subnetpools", name="pool", prefixes=["10.32.0.0/16"])
        for name in ("one", "two"):
            make(name, "port", "ports", **on, name=name)
        return cls(ask, ids)

    def outcomes(self, cases: Iterable[Case]) -> dict[str, str]:
        """What becomes of cases, by their keys."""
        found = {case.key: self.outcome(case) for case in cases}
        self.clear()
        return found

    def outcome(self, case: Case) -> str:
        """What becomes of a case, in a line; whatever it made is gone afterwards."""
        if case.verb == "PUT":
            return self._put(case)
        self.clear()
        if case.verb == "GET":
            return _listed(case.noun, *self.ask("GET", f"{case.noun.path}?{case.query}", None))
        status, told = self.ask("POST", case.noun.path, {case.noun.one: self._fill(case.body)})
        if status == 201:
            self._delete(f"{case.noun.path}/{told[case.noun.one]['id']}")
        return _told(case, status, told, self.ids)

    def clear(self) -> None:
        """Delete what PUTs were tried on."""
        for where in self.kept.values():
            self._delete(where)
        self.kept.clear()

    def _put(self, case: Case) -> str:
        noun = case.noun
        if noun.one not in self.kept:
            self.clear()
            status, made = self.ask("POST", noun.path, {noun.one: self._fill(noun.base)})
            if status != 201:
                raise RuntimeError(f"{case.key}: {status} {made}")
            self.kept[noun.one] = f"{noun.path}/{made[noun.one]['id']}"
        changed, told = self.ask("PUT", self.kept[noun.one], {noun.one: self._fill(case.body)})
        if changed < 300:
            self.clear()
        return _told(case, changed, told, self.ids)

    def _delete(self, where: str) -> None:
        gone, told = self.ask("DELETE", where, None)
        if gone != 204:
            raise RuntimeError(f"DELETE {where}: {gone} {told}")

    def _fill(self, body: Any) -> Any:
        return _filled(body, self.ids)


def _filled(value: Any, ids: Mapping[str, str]) -> Any:
    """A value with ids for the words in braces."""
    match value:
        case str():
            return ids.get(value[1:-1], value) if value.startswith("{") else value
        case list():
            return [_filled(each, ids) for each in value]
        case dict():
            return {name: _filled(each, ids) for name, each in value.items()}
    return value


def _told(case: Case, status: int, told: Any, ids: Mapping[str, str]) -> str:
    if not 200 <= status < 300:
        return f"{status} {_kind(told)}"
    shown = told[case.noun.one]
    if case.name in UNTOLD or case.name not in shown:
        return str(status)
    text = json.dumps(shown[case.name], sort_keys=True)
    for word, ident in ids.items():
        text = text.replace(ident, f"{{{word}}}")
    own = shown.get("mac_address")
    return f"{status} {text.replace(own, '{mac}') if own else text}"


def _kind(told: Any) -> str:
    error = told.get("NeutronError", {}) if isinstance(told, dict) else {}
    return str(error.get("type", "?")) if isinstance(error, dict) else "?"


def _listed(noun: Noun, status: int, told: Any) -> str:
    """How many a list has, and whether it goes on; not of objects that each server has itself."""
    if status >= 300:
        return f"{status} {_kind(told)}"
    links = sorted(each["rel"] for each in told.get(f"{noun.many}_links", ()))
    names = sorted({name for each in told[noun.many] for name in each})
    shape = ",".join(names) if len(names) <= 3 else ""
    return " ".join([str(status), str(len(told[noun.many])), *links, shape]).strip()
