"""Lists that the store filters, sorts and cuts as far as it can; what is shown tells the rest."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from vifguard.api.schema.listing import Listing, Shown
from vifguard.attributes.refusal import invalid_input
from vifguard.attributes.schema import ResourceSchema
from vifguard.attributes.values.converters import boolean
from vifguard.store.queries.list_query import ListQuery, NounList
from vifguard.store.transaction import Snapshot

ListedT = TypeVar("ListedT")


@dataclass(frozen=True)
class StoredList(Generic[ListedT]):
    """The list of a resource, and that of the noun behind it.

    An attribute is the store's field of its `field`, where it has one, else of its own name.
    """

    resource: ResourceSchema
    noun: NounList[ListedT]

    def find(
        self, snapshot: Snapshot, listing: Listing, *, whole: bool = False
    ) -> tuple[Sequence[ListedT], bool]:
        """The page that is asked for and one more object; true: the store cut it.

        Where it cannot, or with `whole`, at least all objects that the filters select. Raises
        Refusal: for a value that a filter cannot have, or (404) a marker that is not in the list.
        """
        # Nothing is learned from an attribute that is hidden from the user.
        hidden = frozenset(self.resource.hidden_from(listing.user))
        query = self._query(listing, hidden)
        asked = {*listing.filters, *(name for name, _ in listing.sort)}
        if whole or asked & hidden or not self.noun.is_exact(query):
            return self.noun.select(snapshot, listing.user, query), False
        found = self.noun.page(snapshot, listing.user, query)
        if found is None:
            raise listing.no_marker()
        return found, True

    def answer(
        self,
        snapshot: Snapshot,
        listing: Listing,
        show: Callable[[Sequence[ListedT]], Sequence[Shown]],
        first: Sequence[Shown] = (),
    ) -> dict[str, Any]:
        """The body of the answer; `show` shows objects in their order.

        `first` are objects before all of them that the store does not have. Raises Refusal.
        """
        found, is_page = self.find(snapshot, listing, whole=bool(first))
        return listing.page(show(found)) if is_page else listing.answer([*first, *show(found)])

    def _query(self, listing: Listing, hidden: Container[str]) -> ListQuery:
        return ListQuery(
            {
                self._field(name): self._values(name, values)
                for name, values in listing.filters.items()
                if name not in hidden
            },
            tuple((self._field(name), descending) for name, descending in listing.sort),
            listing.limit,
            listing.marker,
            listing.backwards,
        )

    def _field(self, name: str) -> str:
        attribute = self.resource.by_name.get(name)
        return name if attribute is None else attribute.field or name

    def _values(self, name: str, values: Sequence[str]) -> Sequence[Any]:
        attribute = self.resource.by_name.get(name)
        if attribute is None or attribute.converter is not boolean:
            return values
        try:
            return [boolean.read(value) for value in values]
        except ValueError as error:
            raise invalid_input(f"Invalid input for {name}. Reason: {error}.") from None
