"""IGMP and MLD: a guest's reports of the groups that it receives.

A legal report goes out with TTL or hop limit 1 and a Router Alert: `router_alert4()` as
IPv4 options, `hop_by_hop(mld(...), router_alert6())` in IPv6.
"""

from __future__ import annotations

from vifguard.packet.builders.layer import AddressLike, Layer, as_ip4, as_ip6, internet_checksum
from vifguard.packet.builders.transport import icmpv6

IGMP = 2


def igmp(
    kind: int,
    group: AddressLike = "0.0.0.0",  # noqa: S104  an IGMP field, nothing is bound
    *,
    max_response: int = 0,
    rest: bytes = b"",
    checksum: int | None = None,
) -> Layer:
    """An IGMP message: 0x11 query, 0x12 and 0x16 reports, 0x17 leave (RFC 2236)."""
    return _igmp(kind, max_response, as_ip4(group).packed + rest, checksum)


def igmpv3_report(*groups: AddressLike, record: int = 4, checksum: int | None = None) -> Layer:
    """An IGMPv3 report (RFC 3376); `record` 4 excludes no source: joins the groups."""
    records = b"".join(bytes((record, 0, 0, 0)) + as_ip4(group).packed for group in groups)
    return _igmp(0x22, 0, bytes(2) + len(groups).to_bytes(2, "big") + records, checksum)


def mld(
    kind: int, group: AddressLike = "::", *, max_response: int = 0, checksum: int | None = None
) -> Layer:
    """An MLDv1 message: 130 query, 131 report, 132 done (RFC 2710)."""
    body = max_response.to_bytes(2, "big") + bytes(2) + as_ip6(group).packed
    return icmpv6(kind, 0, body, checksum=checksum)


def mldv2_report(*groups: AddressLike, record: int = 4, checksum: int | None = None) -> Layer:
    """An MLDv2 report (RFC 9777); `record` 4 excludes no source: joins the groups."""
    records = b"".join(bytes((record, 0, 0, 0)) + as_ip6(group).packed for group in groups)
    body = bytes(2) + len(groups).to_bytes(2, "big") + records
    return icmpv6(143, 0, body, checksum=checksum)


def _igmp(kind: int, code: int, body: bytes, checksum: int | None) -> Layer:
    octets = bytes((kind, code, 0, 0)) + body
    value = internet_checksum(octets) if checksum is None else checksum
    return Layer(octets[:2] + value.to_bytes(2, "big") + body, IGMP)
