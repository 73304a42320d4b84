"""The adoption of interfaces: how each was found, before it was changed, and its way back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from vifguard.agent.host.saved_state import SavedState
from vifguard.agent.state import AgentState
from vifguard.agent.wiring.giving_back import MayPass, give_back, on_deletion
from vifguard.bridging.bridge import port_of_mark
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link, LinkChange, Links, changed

_UNMARKED = "unmarked"
"""The port of an interface whose alias is its operator's own."""

log = logging.getLogger("vifguard")


class Adoption:
    """The record of a host's interfaces, and what gives them back by it. One thread's."""

    def __init__(
        self, state: AgentState, saved: SavedState, links: Links, bridges: Bridges
    ) -> None:
        self._state = state
        self._saved = saved
        self._links = links
        state.ended = saved.ended
        self._bridges = bridges

    @property
    def saved(self) -> SavedState:
        """The record itself, to be read."""
        return self._saved

    def write(self, line: Callable[[], None]) -> None:
        """Write in the record. A line that the disk does not take is kept here, and logged once."""
        was_behind = self._saved.is_behind
        try:
            line()
        except OSError as error:
            if not was_behind:
                log.warning(
                    "the former state of interfaces and bridges, for `vifguard down "
                    "--release`, cannot be written: %s; this process keeps it, and tries "
                    "again at the next change",
                    error,
                )

    def keep_links(self) -> None:
        """Forget devices that are gone: their numbers may be used again."""
        self.write(partial(self._saved.keep, self._state.links))
        self._state.ended = self._saved.ended

    def note(self, links: Iterable[Link], *, hands_off: bool = False) -> None:
        """Record interfaces before they are changed; `hands_off`: only their alias will be."""
        self.write(partial(self._saved.note, links, hands_off=hands_off))

    def is_taken(self, index: int) -> bool:
        """Whether an interface was given a place by us."""
        found = self._saved.interfaces.get(index)
        return found is not None and not found.hands_off

    def is_hands_off(self, index: int) -> bool:
        """Whether no more than the mark of its guard is ours at an interface."""
        found = self._saved.interfaces.get(index)
        return found is not None and found.hands_off

    def give_back(self, links: Iterable[Link], may_pass: MayPass) -> dict[int, str]:
        """Give interfaces back as they were found; return the failures with the reason.

        One that may not pass where it was goes into no bridge, and down. Of one that was not
        recorded nothing but our mark goes. Their guards are still there, and go last.
        """
        failed: dict[int, str] = {}
        for link in links:
            found = self._saved.interfaces.get(link.index)
            if found is None:
                continue
            # Its mark goes with the change, and says no more whose guest this is.
            port_id = port_of_mark(link) or _UNMARKED
            self.write(partial(self._saved.note_ended, link.index, port_id))
            change = on_deletion(link, found, self._state.links, may_pass)
            why = give_back(self._links, self._bridges, link, found, change)
            if why:
                failed[link.index] = f"it cannot be given back: {why}"
            else:
                self._state.take(changed(link, change))
        return failed

    def set_aliases(self, aliases: Mapping[int, str]) -> dict[int, str]:
        """Set interfaces' aliases; return the failures with the reason."""
        changes = [LinkChange(index, alias=alias) for index, alias in aliases.items()]
        results = self._links.change(changes)
        for change, error in zip(changes, results, strict=True):
            link = self._state.links.get(change.index)
            if error is None and link is not None:
                self._state.take(changed(link, change))
        return {
            change.index: error.reason
            for change, error in zip(changes, results, strict=True)
            if error is not None
        }

    def forget(self, indexes: Iterable[int]) -> None:
        """Forget how interfaces were found, once they are as they were and have no guard."""
        self.write(partial(self._saved.forget_interfaces, frozenset(indexes)))

    def keep(self, ports: Collection[int]) -> list[Link]:
        """Forget interfaces that no port is at; return those that still bear our mark."""
        left = [i for i in self._saved.interfaces if i not in ports]
        marked = [x for i in left if (x := self._state.links.get(i)) and port_of_mark(x)]
        self.forget(frozenset(left) - {link.index for link in marked})
        return marked
