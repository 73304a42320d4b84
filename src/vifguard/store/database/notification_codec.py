"""Codec of the payloads of NOTIFY: each is shorter than the 8,000 bytes that one can carry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from vifguard.store.database.notification import Notification

_ROOM = 3500
"""Bytes of names of each kind in a text; both kinds and the frame stay below 8,000 bytes."""

_TEXTS = 16
"""The most texts of a change; with more names than fit, all are notified."""


def encode(sender: str, notification: Notification) -> list[str]:
    """The payloads of a notification; none where it concerns no host or port.

    ASCII, each shorter than the 8,000 bytes that a notification can carry.
    """
    parts = zip_longest(_parts(notification.hosts), _parts(notification.ports), fillvalue=())
    texts = [_encode_one(sender, hosts, ports, notification.release) for hosts, ports in parts]
    if not texts and notification.release is not None:
        return [_encode_one(sender, (), (), notification.release)]
    return texts


def decode(text: str) -> tuple[str, Notification]:
    """The sender and the notification of a payload; raises ValueError for any other text."""
    try:
        sender, hosts, ports, release = json.loads(text)
        return sender, Notification(_names(hosts), _names(ports), release)
    except TypeError as error:
        raise ValueError(f"{text[:80]!r} is not a notification") from error


def _encode_one(
    sender: str, hosts: Iterable[str] | None, ports: Iterable[str] | None, release: float | None
) -> str:
    listed = [None if names is None else list(names) for names in (hosts, ports)]
    return json.dumps([sender, *listed, release], separators=(",", ":"))


def _names(listed: list[str] | None) -> frozenset[str] | None:
    return None if listed is None else frozenset(listed)


def _parts(names: frozenset[str] | None) -> list[tuple[str, ...] | None]:
    if names is None:
        return [None]
    parts: list[tuple[str, ...] | None] = list(_cut(names))
    return parts if len(parts) <= _TEXTS else [None]


def _cut(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    left = _ROOM
    for name in sorted(names):
        size = len(json.dumps(name)) + 1
        if size > left:
            yield tuple(part)
            part, left = [], _ROOM
        part.append(name)
        left -= size
    if part:
        yield tuple(part)
