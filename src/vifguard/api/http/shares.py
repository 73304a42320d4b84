"""Shares: what requests take of something that is bounded, in all and for each project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vifguard.attributes.refusal import Refusal


@dataclass(slots=True, eq=False)
class Share:
    """What one request has taken; given back once."""

    shares: Shares
    project_id: str
    number: int = 0
    is_lost: bool = False

    def take(self, more: int) -> None:
        """Take so many more; raises Refusal (429, 503) where they are not left."""
        if self.is_lost:
            raise given_way()
        self.shares.take(self.project_id, more)
        self.number += more

    @contextmanager
    def gives_way(self, end: Callable[[], None]) -> Iterator[None]:
        """Within, others may get what it has; `end` is called then. Raises Refusal (503) after."""
        with self.shares.giving_way(self, end):
            yield
        if self.is_lost:
            raise given_way()

    def lose(self) -> None:
        """Give it back for good: taking more is refused."""
        self.is_lost = True
        self.give_back()

    def give_back(self) -> None:
        """Leave it to others; a second time does nothing."""
        self.shares.give_back(self.project_id, self.number)
        self.number = 0


class Shares:
    """Something of which requests take shares while they are answered. One event loop uses one."""

    def __init__(
        self, what: str, most: float, most_of_a_project: int, whose: str = "Project"
    ) -> None:
        """`what` names it, in the plural: requests that wait, bytes. `whose`: Host, of agents."""
        self._what = what
        self._whose = whose
        self._most = most
        self._most_of_a_project = most_of_a_project
        self._taken: Counter[str] = Counter()
        # In the order in which they began: the first of a project is the slowest.
        self._give_way: dict[Share, Callable[[], None]] = {}

    @property
    def taken(self) -> int:
        """The number that is taken."""
        return self._taken.total()

    def _taken_beside(self, project_id: str) -> int:
        """The number that is taken by the same kind: counted by project, or not."""
        uncounted = self._taken[""]
        return self.taken - uncounted if project_id else uncounted

    def taken_by(self, project_id: str) -> int:
        """The number that a project has taken."""
        return self._taken[project_id]

    def is_full_for(self, project_id: str, more: int = 1) -> bool:
        """Whether so many more are not left, however few the project itself has."""
        return self._taken_beside(project_id) + more > self._most

    @contextmanager
    def slot(self, project_id: str) -> Iterator[Share]:
        """Take one within; `project_id` is empty for users not counted by project.

        Raises Refusal (429, 503) where none is left.
        """
        with self.share(project_id) as share:
            share.take(1)
            yield share

    @contextmanager
    def share(self, project_id: str) -> Iterator[Share]:
        """A share of which nothing is taken yet; it is given back when the block ends."""
        share = Share(self, project_id)
        try:
            yield share
        finally:
            share.give_back()

    def take(self, project_id: str, more: int) -> None:
        """Take so many more for a project; raises Refusal (429, 503) where they are not left."""
        if project_id and self._taken[project_id] + more > self._most_of_a_project:
            raise Refusal(
                429,
                "HTTPTooManyRequests",
                f"{self._whose} {project_id} has {self._most_of_a_project} {self._what} already, "
                "the most at once. Nothing was changed; wait for their answers.",
                {"Retry-After": "1"},
            )
        self._make_room(project_id, more)
        if self.is_full_for(project_id, more):
            raise busy(f"there are {self._most} {self._what} already")
        self._taken[project_id] += more

    def _make_room(self, project_id: str, more: int) -> None:
        """End shares that give way, of the project that has most, for one that has fewer."""
        while project_id and self.is_full_for(project_id, more):
            slow = [each for each in self._give_way if each.project_id and each.number]
            share = max(slow, key=lambda each: self._taken[each.project_id], default=None)
            if share is None or self._taken[share.project_id] <= self._taken[project_id] + more:
                return
            end = self._give_way.pop(share)
            share.lose()
            end()

    @contextmanager
    def giving_way(self, share: Share, end: Callable[[], None]) -> Iterator[None]:
        """Within, a share may be lost to a project that has fewer; `end` is called then."""
        self._give_way[share] = end
        try:
            yield
        finally:
            self._give_way.pop(share, None)

    def give_back(self, project_id: str, number: int) -> None:
        """Leave so many of a project to others."""
        self._taken[project_id] -= number
        if not self._taken[project_id]:
            del self._taken[project_id]


def given_way() -> Refusal:
    """The refusal (503) of a request that lost its share."""
    return busy("what this request took went to another project, which has fewer")


def busy(why: str) -> Refusal:
    """The refusal (503) of a change that cannot be made just now."""
    message = f"The server is busy with other requests: {why}. Nothing was changed, try again."
    return Refusal(503, "HTTPServiceUnavailable", message, {"Retry-After": "1"})
