"""A bounded store of dropped frames until they are reported."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterator

from vifguard.feed.messages import DropRecord


class DropRing:
    """Dropped frames by kind, the latest of each; the most frequent kind makes room.

    So a sender that causes many drops of one kind cannot hide one of another.
    """

    def __init__(self, most: int) -> None:
        """Keeps `most` records in all."""
        self._most = most
        self._number = 0
        self._kinds: defaultdict[Hashable, deque[DropRecord]] = defaultdict(deque)

    def add(self, kind: Hashable, record: DropRecord) -> None:
        """Keep a record; the oldest of the most frequent kind goes where there is no room."""
        self._kinds[kind].append(record)
        self._number += 1
        if self._number > self._most:
            max(self._kinds.values(), key=len).popleft()
            self._number -= 1

    def take(self) -> tuple[DropRecord, ...]:
        """The records by age, the oldest first; nothing is kept afterwards."""
        taken = tuple(sorted(self, key=lambda record: record.at))
        self._kinds.clear()
        self._number = 0
        return taken

    def __iter__(self) -> Iterator[DropRecord]:
        for records in self._kinds.values():
            yield from records

    def __len__(self) -> int:
        return self._number
