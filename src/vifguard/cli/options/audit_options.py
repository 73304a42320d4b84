"""The options of `vifguard audit` as a site: the guests, and the host's settings for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)
from typing import TypeVar

from vifguard.cli.exit_codes import InputError
from vifguard.cli.options.values import NONE
from vifguard.lab.attacks.attack import Kind
from vifguard.lab.audit.site import Guest, Namespace, Reach, Site, VantagePoint
from vifguard.lab.audit.transport import Facts, facts_of
from vifguard.model.address import AddressError, Mac, parse_address, parse_network
from vifguard.model.guard import Profile

Interface = IPv4Interface | IPv6Interface

_LEVELS = {kind.profile.value: kind for kind in Kind if kind.profile is not Profile.OFF}
_FIELDS = ("mac", "ip", "ip6", "ll")
_VIRTUAL = re.compile(r"00:00:5e:00:0([12]):[0-9a-f]{2}", re.ASCII)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """The options of a site on the command line."""

    name: str
    level: str
    posts: Mapping[str, str | None]
    command: str | None
    nets: Sequence[str]
    vips: Sequence[str]
    vmacs: Sequence[str]
    routed: Sequence[str]
    others_vrid: int | None = None


def level_of(text: str) -> Kind:
    """The level of this name."""
    if text not in _LEVELS:
        raise InputError(f"--level {text!r} is not one of {', '.join(_LEVELS)}")
    return _LEVELS[text]


def site_of(words: AuditOptions) -> Site:
    """The site of the options; values that were not given are read from the devices."""
    level = level_of(words.level)
    for name in ("attacker", "victim"):
        if not words.posts[name]:
            raise InputError(f"give --{name} [NETNS/]DEVICE, or --lab for a host of our own")
    try:
        return _site(words, level)
    except AddressError as error:
        raise InputError(str(error)) from None


def _site(words: AuditOptions, level: Kind) -> Site:
    said = {
        name: _DeclaredGuest.parse(name, text, words.command)
        for name, text in words.posts.items()
        if text
    }
    posts = {name: each.post() for name, each in said.items()}
    nets = [parse_network(text) for text in words.nets] or said["attacker"].networks()
    vips = [parse_address(text) for text in words.vips]
    routed = [parse_network(text) for text in words.routed]
    vmacs = dict(map(_virtual, words.vmacs))
    return Site(
        words.name,
        posts["attacker"],
        posts["victim"],
        posts.get("third"),
        level,
        net4=_one("--net", IPv4Network, nets),
        net6=_one("--net", IPv6Network, nets),
        outside=posts.get("outside"),
        vip4=_one("--vip", IPv4Address, vips),
        vip6=_one("--vip", IPv6Address, vips),
        vmac4=vmacs.get(4),
        vmac6=vmacs.get(6),
        routed4=_one("--routed", IPv4Network, routed),
        routed6=_one("--routed", IPv6Network, routed),
        others_vrid=words.others_vrid,
    )


@dataclass(frozen=True, slots=True)
class _DeclaredGuest:
    """A post as it was written, and the facts of its device where they are needed."""

    name: str
    reach: Reach
    fields: Mapping[str, str]
    facts: Facts | None

    @classmethod
    def parse(cls, name: str, text: str, command: str | None) -> _DeclaredGuest:
        """From `[NETNS/]DEVICE,mac=...,ip=...`."""
        place, *pairs = text.split(",")
        fields = dict(_pair(name, pair) for pair in pairs)
        reach = _reach(name, place, command)
        is_complete = {"mac", "ip", "ip6"} <= fields.keys()
        return cls(name, reach, fields, None if is_complete else facts_of(reach))

    def post(self) -> VantagePoint:
        """The post: from the given values, else from the device."""
        mac = (
            Mac.parse(self.fields["mac"]) if "mac" in self.fields else self._read_from_device().mac
        )
        ip4, ip6 = self._interface("ip", IPv4Interface), self._interface("ip6", IPv6Interface)
        ll = self._interface("ll", IPv6Interface)
        return VantagePoint(
            self.name,
            self.reach,
            mac,
            ip4.ip if ip4 else None,
            ip6.ip if ip6 else None,
            ll.ip if ll else None,
        )

    def networks(self) -> list[IPv4Network | IPv6Network]:
        """The prefixes of its addresses, as far as their lengths are known."""
        found = (self._interface("ip", IPv4Interface), self._interface("ip6", IPv6Interface))
        return [each.network for each in found if each and each.network.num_addresses > 1]

    def _interface(self, field: str, kind: type[T]) -> T | None:
        """The address of a field with its prefix length; one alone where none is known."""
        if field in self.fields:
            if self.fields[field] == NONE:
                return None
            said = _interface(self.fields[field])
            if not isinstance(said, kind):
                raise InputError(
                    f"--{self.name}: {field}={said.ip} is of the wrong family: ip is IPv4, ip6 "
                    "and ll are IPv6"
                )
            return said
        known = [each for each in self._read_interfaces() if isinstance(each, kind)]
        fitting = (each for each in known if each.ip.is_link_local == (field == "ll"))
        return next(fitting, None)

    def _read_interfaces(self) -> list[Interface]:
        return [ip_interface(text) for text in self.facts.addresses] if self.facts else []

    def _read_from_device(self) -> Facts:
        assert self.facts is not None  # noqa: S101 - asked wherever a field is missing
        return self.facts


def _pair(name: str, text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    if not equals or field not in _FIELDS:
        fields = ", ".join(f"{each}=..." for each in _FIELDS)
        raise InputError(f"--{name}: {text!r} is none of {fields}")
    return field, value


def _reach(name: str, place: str, command: str | None) -> Reach:
    where, slash, device = place.rpartition("/")
    if not device:
        raise InputError(f"--{name} {place!r} names no device")
    if command is None:
        return Namespace(where, device)
    words = _split(command)
    if words[-1:] != ["-"]:
        raise InputError(f"--guest-command {command!r} does not end with `python3 -`")
    if bool(slash) != any("{}" in word for word in words):
        raise InputError(f"--guest-command {command!r} needs {{}} where --{name} has a GUEST/")
    return Guest(tuple(word.replace("{}", where) for word in words), device)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise InputError(f"--guest-command {command!r}: {error}") from None


def _interface(text: str) -> Interface:
    """`10.0.0.5/24`, or the address alone."""
    parse_address(text.partition("/")[0])
    try:
        return ip_interface(text)
    except ValueError:
        raise InputError(f"{text!r} is not an address such as 10.0.0.5/24") from None


def _virtual(text: str) -> tuple[int, Mac]:
    """A virtual router's MAC, and its family (RFC 9568, 7.3)."""
    mac = Mac.parse(text)
    match = _VIRTUAL.fullmatch(str(mac))
    if match is None:
        raise InputError(f"--vmac {text} is not a virtual MAC such as 00:00:5e:00:01:33")
    return {"1": 4, "2": 6}[match[1]], mac


def _one(option: str, kind: type[T], values: Iterable[object]) -> T | None:
    """The one value of this family; none is none."""
    found = [value for value in values if isinstance(value, kind)]
    if len(found) > 1:
        raise InputError(f"{option}: one of each family, not {', '.join(map(str, found))}")
    return found[0] if found else None
