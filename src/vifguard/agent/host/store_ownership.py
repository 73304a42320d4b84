"""The store whose ports are guarded here: an update of another store does not replace them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vifguard.agent.host_guards import HostGuards
from vifguard.feed.messages import Update
from vifguard.kernel.net.link import Link

_TAKE_OVER = "if this is intended, start the agent once with --take-over"


class StoreOwnership:
    """Decides whether a complete update may be taken in. One thread's.

    A data directory that is empty, a database that was restored, a wrong name of the host: each
    would take the guests of this host off their networks. `take_over`: the next one is meant.
    """

    def __init__(
        self,
        guards: HostGuards,
        links: Callable[[], Iterable[Link]],
        *,
        take_over: bool,
    ) -> None:
        """`links` reads those of the host: an update may come before the state has any."""
        self._guards = guards
        self._links = links
        self._take_over = take_over

    def why_not(self, update: Update) -> str:
        """The reason why an update is not taken in; empty where it may be."""
        if not update.complete or self._take_over:
            return ""
        guarded = self._guards.ports({link.index: link for link in self._links()})
        if not guarded:
            return ""
        if stranger := not_our_store_reason(self._guards.stores, update.store, len(guarded)):
            return stranger
        removed = guarded.difference(port.policy.port_id for port in update.ports)
        if 2 * len(removed) <= len(guarded):
            return ""
        return (
            f"the server knows only {len(guarded) - len(removed)} of the {len(guarded)} ports "
            "that are guarded here: check --host, and whether the database is an old copy. "
            f"The guards stay in force; {_TAKE_OVER}"
        )

    def accept(self, update: Update) -> None:
        """Note that the guards are the update's store's from now on. Raises OSError."""
        if update.complete:
            self._guards.set_store(update.store)
            self._take_over = False


def not_our_store_reason(noted: frozenset[str], store: str, guarded: int) -> str:
    """Why a store is not that of the guarded ports; empty where it is, or none is known.

    `noted` are the ids that the drivers noted; several where drivers were changed by turns.
    """
    if not store or noted <= {store}:
        return ""
    own = ", ".join(sorted(noted))
    are_guarded = "interface of this host is" if guarded == 1 else "interfaces of this host are"
    return (
        f"{guarded} {are_guarded} guarded for the store {own}, and this is the "
        f"store {store}: give the --data-dir or the server of that one. What is in force stays; "
        f"{_TAKE_OVER}"
    )
