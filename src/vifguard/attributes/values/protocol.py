"""The protocol of a rule as Neutron writes it: a name, or a number as number or text.

Read once, here: inside, a protocol is a number, and none is any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from vifguard.attributes.values.converters import Converter, InvalidValueError
from vifguard.model.address import quoted

NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "ah": 51,
        "dccp": 33,
        "egp": 8,
        "esp": 50,
        "gre": 47,
        "hopopt": 0,
        "icmp": 1,
        "icmpv6": 58,
        "igmp": 2,
        "ip": 0,
        "ipip": 4,
        "ipv6-encap": 41,
        "ipv6-frag": 44,
        "ipv6-icmp": 58,
        "ipv6-nonxt": 59,
        "ipv6-opts": 60,
        "ipv6-route": 43,
        "ospf": 89,
        "pgm": 113,
        "rsvp": 46,
        "sctp": 132,
        "tcp": 6,
        "udp": 17,
        "udplite": 136,
        "vrrp": 112,
    }
)
"""Neutron's names. `ip` is number 0 there, and one protocol like others, never any."""

ONLY_IPV6: Final = frozenset({41, 43, 44, 58, 59, 60})
"""Protocols that Neutron refuses in a rule for IPv4."""

_ANY = "any"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)
_ICMP_OF_IPV6 = {"icmp": "ipv6-icmp", "icmpv6": "ipv6-icmp", "1": "58"}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol, and the word that its owner has for it."""

    number: int
    word: str

    def of(self, version: int) -> Protocol:
        """The same for one IP version: IPv6 has an ICMP of its own."""
        if version == 6 and self.word in _ICMP_OF_IPV6:
            word = _ICMP_OF_IPV6[self.word]
            return Protocol(58, word)
        return self


def _read(value: Any) -> Protocol | None:
    if value is None or value == _ANY:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value.isascii():
        if value.lower() in NUMBERS:
            return Protocol(NUMBERS[value.lower()], value.lower())
        if _NUMBER.fullmatch(value) and int(value) <= 0xFF:
            return Protocol(int(value), value)
    raise InvalidValueError(
        f"Security group rule protocol {quoted(value)} not supported. Only protocol values "
        f"{', '.join(NUMBERS)} and integer representations [0 to 255] are supported",
        "SecurityGroupRuleInvalidProtocol",
    )


_KINDS = [{"type": kind} for kind in ("string", "integer", "null")]

protocol: Final = Converter({"anyOf": _KINDS}, _read)
