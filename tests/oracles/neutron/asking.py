"""Asking a server one case after the other, and what becomes of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.oracles.neutron.grammar import ALIKE, Case
from tests.oracles.neutron.nouns import Noun
from tests.oracles.neutron.world import Ask, filled, stand

UNTOLD: Final = frozenset(
    {"id", "mac_address", "fixed_ips", "created_at", "updated_at", "revision_number"}
    | {"security_group_rules", "provider:segmentation_id"}
)
"""Attributes whose value is a server's to choose, or another's each time."""

_AS_GIVEN: Final = frozenset({"binding:profile", "binding:vif_details"})
"""Attributes of which a user chooses the words."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: in a line, and the names of all attributes in the answer."""

    told: str
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class World:
    """A server, and the ids of what stands there."""

    ask: Ask
    ids: Mapping[str, str]
    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The object that cases of a noun are tried on: its collection and its id."""

    @classmethod
    def stood(cls, ask: Ask) -> World:
        """On a server that has nothing."""
        return cls(ask, stand(ask))

    def outcomes(self, cases: Iterable[Case]) -> dict[str, Outcome]:
        """What becomes of cases, by their keys."""
        found = {case.key: self.outcome(case) for case in cases}
        self.clear()
        return found

    def outcome(self, case: Case) -> Outcome:
        """What becomes of a case; whatever it made or changed is gone afterwards."""
        if "{made}" not in case.path:
            self.clear()
        before = self._count(case)
        path = self._path(case)
        body = case.body if isinstance(case.body, bytes) else filled(case.body, self.ids)
        status, told = self.ask(case.verb, path, body)
        found = self._read(case, status, told)
        if case.is_bulk:
            found = Outcome(f"{found.told}, {self._count(case) - before} made", found.names)
        self._undo(case, status, told)
        return found

    def clear(self) -> None:
        """Delete what cases were tried on."""
        for path, ident in self.made.values():
            self._delete(path, ident)
        self.made.clear()

    def _undo(self, case: Case, status: int, told: Any) -> None:
        if "{made}" in case.path:
            if case.verb == "DELETE" and case.path.endswith("{made}") and status == 204:
                del self.made[case.noun.one]
            elif case.verb not in {"GET", "HEAD"} and 200 <= status < 300:
                self.clear()
        elif case.verb == "POST" and status == 201:
            one = told.get(case.noun.one)
            for each in [one] if one else told[case.noun.many]:
                self._delete(case.noun.path, each["id"])

    def _path(self, case: Case) -> str:
        path = case.path
        if "{made}" in path:
            path = path.replace("{made}", self._made(case.noun))
        for word, ident in self.ids.items():
            path = path.replace(f"{{{word}}}", ident)
        return path

    def _made(self, noun: Noun) -> str:
        if noun.one not in self.made:
            self.clear()
            body = {noun.one: filled(noun.base, self.ids)}
            status, told = self.ask("POST", noun.path, body)
            if status != 201:
                raise RuntimeError(f"{noun.one}: {status} {told}")
            self.made[noun.one] = noun.path, told[noun.one]["id"]
        return self.made[noun.one][1]

    def _count(self, case: Case) -> int:
        if not case.is_bulk:
            return 0
        return len(self.ask("GET", f"{case.noun.path}?fields=id", None)[1][case.noun.many])

    def _delete(self, path: str, ident: str) -> None:
        status, told = self.ask("DELETE", f"{path}/{ident}", None)
        if status != 204:
            raise RuntimeError(f"DELETE {path}/{ident}: {status} {told}")

    def _read(self, case: Case, status: int, told: Any) -> Outcome:
        if not 200 <= status < 300:
            return Outcome(f"{status} {_kind(told)}".strip())
        if not isinstance(told, dict):
            return Outcome(f"{status} {json.dumps(told)[:60] if told else ''}".strip())
        noun, text = case.noun, ""
        one, many = told.get(noun.one), told.get(noun.many)
        if one is not None:
            text = self._value(case.name, one)
        elif many is not None:
            text = self._listed(case, told)
        elif "tags" in told:
            text = json.dumps(told["tags"])
        inside = [one] if one is not None else told if many is None else many
        if many is not None and case.verb == "GET":
            inside = self._known(many)
        return Outcome(f"{status} {text}".strip(), frozenset(_names(inside)))

    def _value(self, name: str, shown: Mapping[str, Any]) -> str:
        if name in UNTOLD or name not in shown:
            return ""
        text = json.dumps(shown[name], sort_keys=True)
        for word, ident in self.ids.items():
            text = text.replace(f'"{ident}"', f'"{{{word}}}"')
        own = shown.get("mac_address")
        return text.replace(own, "{mac}") if own else text

    def _known(self, many: list[Any]) -> list[Any]:
        """Of a list the objects that were made for the cases; others are each server's own."""
        idents = {*self.ids.values(), None}
        return [each for each in many if each.get("id") in idents]

    def _listed(self, case: Case, told: Mapping[str, Any]) -> str:
        """Which objects a list has, in order where it has one, and whether it goes on."""
        noun, query = case.noun, case.path.partition("?")[2]
        links = sorted(each["rel"] for each in told.get(f"{noun.many}_links", ()))
        words = {ident: word for word, ident in self.ids.items()}
        if case.verb != "GET" or ("limit=" in query and "limit=0" not in query):
            return " ".join([str(len(told[noun.many])), *links])
        # What was not made for the cases is each server's own.
        known = [each for each in told[noun.many] if each.get("id") in words]
        key = query.partition("sort_key=")[2].partition("&")[0]
        if key and key not in ALIKE and all(key in each for each in known):
            return " < ".join(self._value(key, each) for each in known)
        return " ".join([*sorted(words[each["id"]] for each in known), *links])


def _names(inside: Any, before: str = "") -> Iterator[str]:
    """The names of attributes, and of those within them: `fixed_ips.ip_address`."""
    match inside:
        case list():
            for each in inside:
                yield from _names(each, before)
        case dict():
            for name, each in inside.items():
                yield f"{before}{name}"
                if name not in _AS_GIVEN:
                    yield from _names(each, f"{before}{name}.")


def _kind(told: Any) -> str:
    error = told.get("NeutronError", {}) if isinstance(told, dict) else {}
    return str(error.get("type", "?")) if isinstance(error, dict) else "?"
