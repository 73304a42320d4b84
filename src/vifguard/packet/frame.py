"""A frame, and the way to it from any bytes."""

from __future__ import annotations

from dataclasses import dataclass

from vifguard.model.address import Mac
from vifguard.packet.link import (
    HEADER,
    LARGEST,
    TAGS,
    Body,
    Ethernet,
    Tag,
    Tagged,
    read_body,
    read_ethernet,
)
from vifguard.packet.offload import NO_OFFLOAD, Offload
from vifguard.packet.undecoded import Unreadable


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it is, its type, and its content.

    `ethernet` is None for a runt. `ethertype` is the outermost: the type of a tag that the
    kernel took off into its metadata, else the 16 bits at offset 12. `body` is the content, read
    by that type. `offload` is the work that its sender left to be done to it.
    """

    octets: bytes
    ethernet: Ethernet | None
    ethertype: int
    body: Body
    offload: Offload = NO_OFFLOAD

    @property
    def src(self) -> Mac | None:
        """The Ethernet source; None for a runt."""
        return None if self.ethernet is None else self.ethernet.src

    @property
    def dst(self) -> Mac | None:
        """The Ethernet destination; None for a runt."""
        return None if self.ethernet is None else self.ethernet.dst

    @property
    def is_to_group(self) -> bool:
        """Whether it is multicast or broadcast on the segment."""
        return self.ethernet is not None and self.ethernet.dst.is_group


def parse(data: bytes, *, tag: Tag | None = None, offload: Offload = NO_OFFLOAD) -> Frame:
    """The frame that any bytes are, `offload` of which is left to be done.

    `tag` is one that the kernel took off.
    """
    ethernet = read_ethernet(data)
    if ethernet is None:
        return Frame(data, None, 0, Unreadable("shorter than an Ethernet header", data), offload)
    inside = data[HEADER:]
    if tag is None:
        is_big = offload.gso_size > 0 and len(inside) > LARGEST
        body = read_body(ethernet.ethertype, inside, is_big=is_big)
        return Frame(data, ethernet, ethernet.ethertype, body, offload)
    if tag.tpid not in TAGS:
        return Frame(data, ethernet, tag.tpid, read_body(tag.tpid, inside), offload)
    inner = read_body(ethernet.ethertype, inside, depth=1)
    return Frame(data, ethernet, tag.tpid, Tagged((tag,), ethernet.ethertype, inner), offload)
