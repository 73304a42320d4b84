"""A cache of objects as JSON, by version: most of a list is unchanged since the last one."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from vifguard.api.http.responses import dumps

MAX_ENTRIES: Final = 32 * 1024 * 1024
"""Bytes of JSON that are kept; some twenty thousand ports."""

_CHUNK: Final = 1000
"""Objects that are made at once."""

Render = Callable[[Sequence[str]], Mapping[str, Mapping[str, Any]]]


class _Entry(NamedTuple):
    """An object as JSON, its version, and where its key is in the list of keys."""

    version: Hashable
    json: bytes
    position: int


class JsonCache:
    """Objects as JSON, each by its id and its version.

    Equal versions imply equal JSON, so entries never need invalidation: a change makes another
    version, and eviction only costs a rendering. Threads share one.
    """

    def __init__(self, most: int = MAX_ENTRIES) -> None:
        self._most = most
        self._size = 0
        self._kept: dict[Hashable, _Entry] = {}
        self._keys: list[Hashable] = []
        self._lock = threading.Lock()

    def rendered(
        self, view: Hashable, versions: Mapping[str, Hashable], render: Render
    ) -> dict[str, bytes]:
        """The objects with these ids and versions as a view shows them, in their order.

        `make` shows those that are not kept, by their ids.
        """
        found: dict[str, bytes] = dict.fromkeys(versions, b"")
        missing = []
        for ident, version in versions.items():
            kept = self._kept.get((view, ident))
            if kept is not None and kept.version == version:
                found[ident] = kept.json
            else:
                missing.append(ident)
        for start in range(0, len(missing), _CHUNK):
            for ident, shown in render(missing[start : start + _CHUNK]).items():
                # A copy: the writer's own holds on to the buffer it wrote in, many times as large.
                found[ident] = bytes(memoryview(dumps(shown)))
                self._keep((view, ident), versions[ident], found[ident])
        return found

    def _keep(self, key: Hashable, version: Hashable, shown: bytes) -> None:
        with self._lock:
            self._forget(key)
            while self._keys and self._size + len(shown) > self._most:
                # Any: where objects are read in turn, the oldest is the one that is read next.
                self._forget(random.choice(self._keys))  # noqa: S311 - no secret
            if len(shown) > self._most:
                return
            self._kept[key] = _Entry(version, shown, len(self._keys))
            self._keys.append(key)
            self._size += len(shown)

    def _forget(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._size -= len(kept.json)
        last = self._keys.pop()
        if last != key:
            self._keys[kept.position] = last
            self._kept[last] = self._kept[last]._replace(position=kept.position)
