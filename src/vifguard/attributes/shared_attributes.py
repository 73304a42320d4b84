"""Converters of the values that networks and ports have in common, and how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from vifguard.attributes.rules import OWN_PROJECT, OWNER, AttributeRule
from vifguard.attributes.schema import Attribute
from vifguard.attributes.values.converters import (
    Converter,
    InvalidValueError,
    address,
    boolean,
    integer,
    list_of,
    many_of,
    mapped,
    nullable,
    one_of,
    project,
    record,
    set_of,
    text,
    uuid,
    word,
)
from vifguard.model.address_request import AddressRequest
from vifguard.model.guard import SELECTABLE, Guard, Profile
from vifguard.model.learned import LearnedLimits
from vifguard.model.policy import Storm

_RATE = integer(0, 10_000_000)

profile: Final = nullable(one_of(Profile))


def show_guards(given: frozenset[Guard]) -> list[str]:
    """Guards by name, in the order of `Guard`."""
    return list(_in_order(given))


@lru_cache(256)
def _in_order(given: frozenset[Guard]) -> tuple[str, ...]:
    return tuple(guard.value for guard in Guard if guard in given)


_SELECTABLE = [guard.value for guard in Guard if guard in SELECTABLE]


def _selectable(guards: frozenset[Guard]) -> frozenset[Guard]:
    if fixed := guards - SELECTABLE:
        raise InvalidValueError(f"{', '.join(sorted(fixed))} is always on and cannot be selected")
    return guards


_guards = set_of(one_of(Guard), len(Guard))
guards: Final = nullable(
    Converter(
        {**_guards.schema, "items": {"type": "string", "enum": _SELECTABLE}},
        lambda value: _selectable(_guards.read(value)),
        show_guards,
    )
)

storm: Final = mapped(
    record({"rate": _RATE, "burst": _RATE}, {}),
    lambda given: Storm(**given),
    lambda storm: {"rate": storm.rate, "burst": storm.burst},
)

_LEARNED_AT_MOST = integer(0, 64)
learned_limits: Final = mapped(
    record({"link_local": _LEARNED_AT_MOST, "others": _LEARNED_AT_MOST}, {}),
    lambda given: LearnedLimits(**given),
    lambda limits: {"link_local": limits.link_local, "others": limits.others},
)


def _address_request(given: dict[str, Any]) -> AddressRequest:
    if not given:
        raise InvalidValueError("an entry names a subnet_id, an ip_address, or both")
    return AddressRequest(given.get("subnet_id"), given.get("ip_address"))


def _distinct(given: tuple[AddressRequest, ...]) -> tuple[AddressRequest, ...]:
    chosen = [wish.address for wish in given if wish.address is not None]
    if twice := {each for each in chosen if chosen.count(each) > 1}:
        raise InvalidValueError(f"duplicate IP address '{min(map(str, twice))}'")
    return given


def address_requests(limit: int) -> Converter:
    """Addresses asked for: each names a subnet, an address, or both."""
    entry = mapped(record({}, {"subnet_id": uuid, "ip_address": address}), _address_request)
    return mapped(many_of(entry, limit), _distinct)


_moment = Converter({"type": "string", "format": "date-time"}, lambda value: value)
seconds: Final = Converter({"type": "number"}, lambda value: value)
"""A measured moment, in seconds since the epoch."""
strings: Final = list_of(text(), 100)


description: Final = text(lines=True)
"""A description, which may have lines."""

NO_ONE: Final = AttributeRule("nobody", lambda _standing, _value: False)
"""The rule of visibility for attributes that only requests hold: nobody sees them."""

MAX_TAGS: Final = 50
"""Tags of one object."""

tags: Final = mapped(list_of(word(), MAX_TAGS), lambda given: tuple(sorted(given)))
_TAGS: Final = Attribute("tags", strings)


def shared_attributes() -> tuple[Attribute, ...]:
    """The attributes that every resource begins with."""
    return (
        Attribute("id", uuid, source="id"),
        Attribute("name", word(), OWNER, OWNER, "", "name", help="Its name."),
        Attribute(
            "project_id",
            project,
            OWN_PROJECT,
            source="project_id",
            help="The project that owns it. Only the operator may name another project.",
        ),
        Attribute("tenant_id", project, source="project_id"),
        Attribute("description", description, OWNER, OWNER, "", "description", help="Free text."),
    )


def with_stamp(tagged: Attribute = _TAGS) -> tuple[Attribute, ...]:
    """The attributes that every stored resource ends with; its tags have routes of their own."""
    return (
        tagged,
        Attribute("revision_number", integer(0, 2**31)),
        Attribute("created_at", _moment),
        Attribute("updated_at", _moment),
    )


def admin_state_up() -> Attribute:
    """The switch that networks and ports have."""
    return Attribute(
        "admin_state_up",
        boolean,
        OWNER,
        OWNER,
        default=True,
        field="admin_state_up",
        help="Whether it is enabled. A disabled one passes nothing.",
    )


def moment(seconds: float) -> str:
    """Seconds since the epoch as Neutron writes a time."""
    return _timestamp(int(seconds))


@lru_cache(4096)
def _timestamp(seconds: int) -> str:
    """Whole seconds since the epoch, in UTC, kept as they were formatted."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
