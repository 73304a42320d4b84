"""Ethernet II, 802.1Q and its kin, LLC and SNAP, ARP and RARP."""

from __future__ import annotations

from vifguard.packet.builders.layer import (
    AddressLike,
    Layer,
    MacLike,
    Payload,
    as_ip4,
    as_mac,
    as_piece,
)

EXPERIMENTAL = 0x88B5
"""The EtherType of bytes for which no other is given (IEEE 802 local experimental)."""


def ethernet(
    src: MacLike, dst: MacLike, payload: Payload = b"", *, ethertype: int | None = None
) -> bytes:
    """A frame as the wire carries it, without FCS and without padding (see `pad`)."""
    piece = as_piece(payload, EXPERIMENTAL)
    number = piece.number if ethertype is None else ethertype
    return as_mac(dst).octets + as_mac(src).octets + number.to_bytes(2, "big") + piece.octets


def pad(frame: bytes, size: int = 60, fill: int = 0) -> bytes:
    """The frame with trailing octets up to `size`: 60 is Ethernet's least without FCS."""
    return frame + bytes((fill,)) * (size - len(frame))


def vlan(
    payload: Payload = b"",
    vid: int = 100,
    *,
    pcp: int = 0,
    tpid: int = 0x8100,
    ethertype: int | None = None,
) -> Layer:
    """A tag (802.1Q; other `tpid`: 0x88a8, 0x9100, 0x9200) before the payload."""
    piece = as_piece(payload, EXPERIMENTAL)
    number = piece.number if ethertype is None else ethertype
    tci = (pcp << 13 | vid) & 0xFFFF
    return Layer(tci.to_bytes(2, "big") + number.to_bytes(2, "big") + piece.octets, tpid)


def llc(
    payload: bytes = b"",
    *,
    dsap: int = 0x42,
    ssap: int = 0x42,
    control: int = 3,
    length: int | None = None,
) -> Layer:
    """An 802.2 frame; its number is the 802.3 length field. The SAPs default to STP's."""
    octets = bytes((dsap, ssap, control)) + payload
    return Layer(octets, len(octets) if length is None else length)


def snap(
    payload: Payload = b"", *, oui: int = 0, pid: int | None = None, length: int | None = None
) -> Layer:
    """An LLC/SNAP header before the payload: the second way to carry an EtherType (RFC 1042)."""
    piece = as_piece(payload, EXPERIMENTAL)
    number = piece.number if pid is None else pid
    inner = oui.to_bytes(3, "big") + number.to_bytes(2, "big") + piece.octets
    return llc(inner, dsap=0xAA, ssap=0xAA, length=length)


def arp(  # noqa: PLR0913  an ARP packet has this many fields
    sender_mac: MacLike,
    sender_ip: AddressLike,
    *,
    target_ip: AddressLike = "0.0.0.0",  # noqa: S104  an ARP field, nothing is bound
    target_mac: MacLike = "00:00:00:00:00:00",
    op: int = 1,
    hardware: int = 1,
    protocol: int = 0x0800,
    hardware_length: int = 6,
    protocol_length: int = 4,
    ethertype: int = 0x0806,
) -> Layer:
    """An Ethernet/IPv4 ARP packet of 28 octets (RFC 826); `op` 1 is a request, 2 a reply."""
    octets = (
        hardware.to_bytes(2, "big")
        + protocol.to_bytes(2, "big")
        + bytes((hardware_length, protocol_length))
        + op.to_bytes(2, "big")
        + as_mac(sender_mac).octets
        + as_ip4(sender_ip).packed
        + as_mac(target_mac).octets
        + as_ip4(target_ip).packed
    )
    return Layer(octets, ethertype)


def rarp(
    mac: MacLike,
    *,
    target_mac: MacLike | None = None,
    sender_ip: AddressLike = "0.0.0.0",  # noqa: S104  an ARP field, nothing is bound
    target_ip: AddressLike = "0.0.0.0",  # noqa: S104  an ARP field, nothing is bound
    op: int = 3,
) -> Layer:
    """The RARP packet with which QEMU announces a guest after migration (RFC 903)."""
    target = mac if target_mac is None else target_mac
    return arp(mac, sender_ip, target_mac=target, target_ip=target_ip, op=op, ethertype=0x8035)
