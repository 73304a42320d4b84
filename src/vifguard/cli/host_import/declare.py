"""The file for `vifguard apply` that declares the results of a survey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import chain, count
from typing import Any

from vifguard.model.address import IPAddress, IPNetwork, Mac
from vifguard.survey.survey import Survey, SurveyedMember

_LENGTHS = {4: 24, 6: 64}
"""The prefix length that is guessed where the host has no address to tell it."""


@dataclass(frozen=True, slots=True)
class HostChoices:
    """The operator's choices for the declaration: names, the project, the guests' profile."""

    network: str
    physical: str
    project: str
    host: str
    profile: str | None


def document(found: Survey, choice: HostChoices) -> dict[str, Any]:
    """The file's content. Members whose MAC was not seen are left out: `unseen` names them."""
    ranges = list(_ranges(found))
    subnets: dict[str, Any] = {
        f"{choice.network}-{number}" if number else f"{choice.network}-v{cidr.version}": {
            "network": choice.network,
            "cidr": str(cidr),
            "gateway_ip": _gateway(found, cidr),
            # The free addresses of this segment are not known.
            "allocation_pools": [],
            "enable_dhcp": False,
        }
        for number, cidr in _numbered(ranges)
    }
    names = port_names(found)
    ports = {names[each.name]: _port(each, mac, ranges, choice) for each, mac in _declared(found)}
    project: dict[str, Any] = {
        "networks": {
            choice.network: {
                "shared": True, "physical_network": choice.physical, "mtu": found.mtu,
            }
        },
        "subnets": subnets,
        "ports": ports,
    }  # fmt: skip
    return {"projects": {choice.project: project}}


def port_names(found: Survey) -> dict[str, str]:
    """The name of each guest's port, by interface: as that, or as the guest where that lasts.

    A guest's further interfaces have a number.
    """
    names = {each.name: each.name for each in found.guests if not _is_of_domain(each)}
    for member in filter(_is_of_domain, found.guests):
        wished = chain([member.domain], (f"{member.domain}-{number}" for number in count(2)))
        names[member.name] = next(name for name in wished if name not in names.values())
    return names


def _is_of_domain(member: SurveyedMember) -> bool:
    return bool(member.domain) and member.is_renamed


def unseen(found: Survey) -> list[str]:
    """The guests whose MAC was not found."""
    return [each.name for each in found.guests if each.mac is None]


def comments(found: Survey) -> Iterator[str]:
    """Comments for the reader of the file."""
    yield f"What `vifguard host adopt` saw on {found.bridge}. Read it before `vifguard apply`."
    for each in found.own:
        yield f"{each.ip} is the host's own on {found.bridge}, and no port's."
    for name in unseen(found):
        yield f"{name}: its MAC was not seen. Listen longer (--listen), or add it by hand."
    for member in found.guests:
        if member.mac is not None and not member.addresses.get(member.mac):
            yield (
                f"{member.name}: no address was seen, and without one it may send no IP. Listen "
                "longer (--listen), or add fixed_ips by hand."
            )
        if len(member.macs) > 1 and member.mac is not None:
            others = ", ".join(str(mac) for mac in sorted(member.macs) if mac != member.mac)
            yield f"{member.name}: it sends with {others} too (allowed_address_pairs)."
    for name, port in port_names(found).items():
        if found.members[name].is_renamed:
            yield f"{port}: libvirt names {name} anew at each start, so its MAC finds it."
    yield "allocation_pools is empty: add a range that nobody on the segment uses."


def _declared(found: Survey) -> Iterator[tuple[SurveyedMember, Mac]]:
    for each in found.guests:
        if each.mac is not None and not each.port_id:
            yield each, each.mac


def _port(
    member: SurveyedMember, mac: Mac, ranges: list[IPNetwork], choice: HostChoices
) -> dict[str, Any]:
    own = sorted(member.addresses.get(mac, ()), key=_order)
    others = [
        {"ip_address": str(address), "mac_address": str(other)}
        for other in sorted(member.macs)
        if other != mac
        for address in sorted(member.addresses.get(other, ()), key=_order)
    ]
    outside = [
        {"ip_address": str(a)} for a in own if not any(a in each for each in ranges)
    ]  # fmt: skip
    port: dict[str, Any] = {
        "network": choice.network,
        "mac_address": str(mac),
        "fixed_ips": [{"ip_address": str(a)} for a in own if any(a in each for each in ranges)],
        "security_groups_enabled": False,
        "host": choice.host,
    }
    if not member.is_renamed:
        port["interface"] = member.name
    if outside or others:
        port["allowed_address_pairs"] = outside + others
    if choice.profile is not None:
        port["guard_profile"] = choice.profile
    return port


def _ranges(found: Survey) -> Iterator[IPNetwork]:
    """The ranges on the segment: the host's own; without those, around the guests' addresses."""
    own = {each.network for each in found.own}
    yield from sorted(own, key=str)
    guessed = set()
    for address in _addresses(found):
        if not any(address in cidr for cidr in own):
            cidr = ip_network((address, _LENGTHS[address.version]), strict=False)
            guessed.add(cidr)
    for version in (4, 6):
        # With a range that the host knows, others of that family are something else's.
        if not any(each.version == version for each in own):
            yield from sorted((each for each in guessed if each.version == version), key=str)[:1]


def _addresses(found: Survey) -> Iterable[IPAddress]:
    return (
        address
        for member in found.guests
        for addresses in member.addresses.values()
        for address in addresses
    )


def _gateway(found: Survey, cidr: IPNetwork) -> str | None:
    return next((str(each) for each in found.gateways if each in cidr), None)


def _numbered(ranges: list[IPNetwork]) -> Iterator[tuple[int, IPNetwork]]:
    """Each range, with a number where it is not the first of its family."""
    seen: dict[int, int] = {}
    for cidr in ranges:
        number = seen.get(cidr.version, 0)
        seen[cidr.version] = number + 1
        yield (10 * cidr.version + number if number else 0), cidr


def _order(address: IPAddress) -> tuple[int, bytes]:
    return address.version, address.packed
