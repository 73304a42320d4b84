"""From any bytes to a frame, from the Ethernet header down to whatever it carries."""

from __future__ import annotations

from vifguard.packet.frame import Frame
from vifguard.packet.link import HEADER, TAGS, Tag, Tagged, read_body, read_ethernet
from vifguard.packet.unreadable import Unreadable


def parse(data: bytes, *, tag: int | None = None) -> Frame:
    """The frame that any bytes are. `tag` is the TPID of a tag that the kernel took off."""
    ethernet = read_ethernet(data)
    if ethernet is None:
        return Frame(data, None, 0, Unreadable("shorter than an Ethernet header", data))
    inside = data[HEADER:]
    if tag is None:
        return Frame(data, ethernet, ethernet.ethertype, read_body(ethernet.ethertype, inside))
    if tag not in TAGS:
        return Frame(data, ethernet, tag, read_body(tag, inside))
    inner = read_body(ethernet.ethertype, inside, depth=1)
    return Frame(data, ethernet, tag, Tagged((Tag(tag),), ethernet.ethertype, inner))
