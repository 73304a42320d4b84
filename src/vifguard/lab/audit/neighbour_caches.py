"""Neighbour caches of the guests' own stacks, where they can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from vifguard.lab.audit.site import Namespace, Site, VantagePoint
from vifguard.lab.play.kernel_tables import Tables
from vifguard.model.address import IPAddress, Mac


class NeighbourCaches:
    """The neighbour tables of the posts that are namespaces of this machine."""

    def __init__(self, site: Site) -> None:
        self._true = {address: post.mac for post in site.posts for address in _addresses(post)}
        self._names = {post.mac: f"the {post.name}'s MAC" for post in site.posts}
        self._tables = {
            post.name: Tables(post.reach.netns)
            for post in site.posts
            if isinstance(post.reach, Namespace)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tables in self._tables.values():
            tables.close()

    def poisoned(self) -> frozenset[str]:
        """The false entries: a post's address that a stack believes at another MAC than its own."""
        return frozenset(
            f"the {name} believes {address} at {self._names.get(mac, mac)}"
            for name, tables in self._tables.items()
            for address, mac in tables.neighbours().items()
            if self._is_false(address, mac)
        )

    def _is_false(self, address: IPAddress, mac: Mac) -> bool:
        return self._true.get(address, mac) != mac


def _addresses(post: VantagePoint) -> Iterator[IPAddress]:
    if post.ip4 is not None:
        yield post.ip4
    if post.ip6 is not None:
        yield post.ip6
        yield post.ll or post.mac.link_local
