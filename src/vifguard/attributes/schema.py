"""Resources as data: each attribute, its accepted values, its default, and rules for setting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from vifguard.attributes.refusal import Refusal, bad_request, forbidden
from vifguard.attributes.rules import AttributeRule, Subject, User
from vifguard.attributes.values.converters import Converter, InvalidValueError, Schema, quoted_list
from vifguard.model.address import quoted

MAX_BULK = 1000
"""Objects that one request may create."""


class _Required:
    """The default of an attribute that a POST must give."""


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a resource.

    `post` and `put` are the rules for setting it then; None: nobody may. `default` is our value
    where a POST leaves it out. `field` is the model's name of it; `source` is the field that it
    shows, where a request does not set that field as it is. `visible_to` None: to all users that
    see the resource. `is_filter`: lists may be filtered by it, and nothing shows it. `former`: its
    name in an earlier release, which lists still accept. `help` is its text in the OpenAPI document
    and of the command's option.
    """

    name: str
    converter: Converter
    post: AttributeRule | None = None
    put: AttributeRule | None = None
    default: object = None
    field: str = ""
    visible_to: AttributeRule | None = None
    is_filter: bool = False
    former: str = ""
    help: str = ""
    source: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether a request may set it, and to more than null."""
        is_set = self.post is not None or self.put is not None
        return is_set and self.converter.schema != {"enum": [None]}


@dataclass(frozen=True, slots=True)
class ParsedBody:
    """The values of a request: converted, by attribute, and the names that it gave itself."""

    values: Mapping[str, Any]
    named: frozenset[str]

    def get(self, name: str) -> Any:
        """The value; None where the request does not give it."""
        return self.values.get(name)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.named


@dataclass(frozen=True)
class ResourceSchema:
    """A kind of object: its name, its plural, its attributes, and the one that identifies it."""

    one: str
    many: str
    attributes: tuple[Attribute, ...]
    key: str = "id"

    @cached_property
    def by_name(self) -> Mapping[str, Attribute]:
        """The attributes by name."""
        return {attribute.name: attribute for attribute in self.attributes}

    @cached_property
    def former_names(self) -> Mapping[str, str]:
        """The names of attributes by their names in an earlier release."""
        return {each.former: each.name for each in self.attributes if each.former}

    def read_post(self, document: Mapping[str, Any]) -> list[ParsedBody]:
        """The objects of a POST, one or in bulk; raises Refusal naming attribute and value."""
        if set(document) == {self.many}:
            bulk = self._bulk(document[self.many])
            return [self._read_one(self._bare(each)) for each in bulk]
        return [self._read_one(self._unwrapped(document))]

    def read_put(self, document: Mapping[str, Any]) -> ParsedBody:
        """The changes of a PUT; raises Refusal naming attribute and value."""
        given = self._known(self._unwrapped(document))
        for name in given:
            if self.by_name[name].put is None:
                raise bad_request(f"Cannot update read-only attribute {name}")
        values = {name: self._convert(name, value) for name, value in given.items()}
        return ParsedBody(values, frozenset(given))

    def authorize_post(self, given: ParsedBody, standing: Subject) -> None:
        """Raise Refusal (403) where a value is not this user's to choose.

        Spelling out a default chooses nothing.
        """
        for attribute in self.attributes:
            if attribute.name in given and given[attribute.name] != attribute.default:
                self._require(attribute, attribute.post, standing, given[attribute.name])

    def authorize_put(self, given: ParsedBody, standing: Subject) -> None:
        """Raise Refusal (403) where an attribute is not this user's to change, to any value."""
        for name in given.named:
            attribute = self.by_name[name]
            self._require(attribute, attribute.put, standing, given[name])

    def show(self, noun: object, others: Mapping[str, Any]) -> dict[str, Any]:
        """An object as the API shows it: each attribute from `others`, or else from its field."""
        shown = {}
        for name, field, show in self._shown:
            if name in others:
                shown[name] = others[name]
            elif field:
                value = getattr(noun, field)
                shown[name] = value if show is None else show(value)
        return shown

    @cached_property
    def _shown(self) -> tuple[tuple[str, str, Callable[[Any], Any] | None], ...]:
        return tuple(
            (each.name, each.source or each.field, each.converter.show) for each in self.attributes
        )

    def shown_to(self, user: User, shown: dict[str, Any]) -> dict[str, Any]:
        """An object as this user may see it."""
        for name in self.hidden_from(user):
            shown.pop(name, None)
        return shown

    def hidden_from(self, user: User) -> tuple[str, ...]:
        """The attributes that a user does not see, of whichever object."""
        standing = Subject(user, "")
        return tuple(
            each.name
            for each in self._reserved
            if each.visible_to is not None and not each.visible_to.allows(standing, None)
        )

    @cached_property
    def writable(self) -> tuple[Attribute, ...]:
        """The attributes that a client may choose."""
        return tuple(each for each in self.attributes if each.is_choice)

    @cached_property
    def filters(self) -> tuple[str, ...]:
        """The attributes that are filters and nothing else."""
        return tuple(each.name for each in self.attributes if each.is_filter)

    def fields(self, given: ParsedBody) -> dict[str, Any]:
        """The values under the model's words, of the attributes that have one."""
        return {
            attribute.field: given[attribute.name]
            for attribute in self.attributes
            if attribute.field and attribute.name in given.values
        }

    @cached_property
    def _reserved(self) -> tuple[Attribute, ...]:
        return tuple(each for each in self.attributes if each.visible_to is not None)

    def _read_one(self, raw: Any) -> ParsedBody:
        given = self._known(raw)
        return ParsedBody(dict(self._post_values(given)), frozenset(given))

    def _post_values(self, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for attribute in self.attributes:
            if attribute.name in given:
                if attribute.post is None:
                    raise bad_request(f"Attribute '{attribute.name}' not allowed in POST")
                yield attribute.name, self._convert(attribute.name, given[attribute.name])
            elif attribute.default is REQUIRED:
                raise bad_request(
                    f"Failed to parse request. Required attribute '{attribute.name}' not specified"
                )
            elif attribute.post is not None:
                yield attribute.name, attribute.default

    def _known(self, raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise bad_request(f"Invalid input for {self.one}. Reason: {quoted(raw)} is no object.")
        given = dict(raw)
        if "tenant_id" in given:  # the old word for the same thing
            tenant = given.pop("tenant_id")
            if given.setdefault("project_id", tenant) != tenant:
                raise bad_request("'project_id' and 'tenant_id' do not match")
        if unknown := given.keys() - self.by_name.keys():
            raise bad_request(f"Unrecognized attribute(s) {quoted_list(unknown)}")
        return given

    def _convert(self, name: str, value: Any) -> Any:
        try:
            return self.by_name[name].converter.read(value)
        except InvalidValueError as error:
            raise Refusal(400, error.kind, f"Invalid input for {name}. Reason: {error}.") from None
        except ValueError as error:
            raise bad_request(f"Invalid input for {name}. Reason: {error}.") from None

    def _bare(self, entry: Any) -> Any:
        # Each object of a bulk may be wrapped again in the word for one.
        wrapped = isinstance(entry, dict) and set(entry) == {self.one}
        return entry[self.one] if wrapped else entry

    def _unwrapped(self, document: Mapping[str, Any]) -> Any:
        if set(document) != {self.one}:
            raise bad_request(f"Unable to find '{self.one}' in request body")
        return document[self.one]

    def _bulk(self, raw: Any) -> list[Any]:
        if not isinstance(raw, list) or not raw:
            raise bad_request(f"Invalid input for {self.many}. Reason: a list is expected.")
        if len(raw) > MAX_BULK:
            raise bad_request(
                f"Invalid input for {self.many}. Reason: {len(raw)} objects are more than the "
                f"maximum of {MAX_BULK}."
            )
        return raw

    def _require(
        self, attribute: Attribute, rule: AttributeRule | None, standing: Subject, value: Any
    ) -> None:
        if rule is None or not rule.allows(standing, value):
            words = rule.requirement if rule is not None else "nobody"
            refuse = forbidden if rule is None or rule.is_policy else bad_request
            raise refuse(
                f"{attribute.name} of a {self.one} may be set only by {words}: user "
                f"{standing.user.name!r} may not."
            )

    @property
    def schema(self) -> Schema:
        """The JSON Schema of the resource in an answer."""
        shown = [each for each in self.attributes if not each.is_filter]
        properties = {each.name: each.converter.schema for each in shown}
        return {"type": "object", "properties": properties}
