"""Members of the operator's bridges that have no guard, and whether they forward."""

from __future__ import annotations

import errno
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from vifguard.agent.host.capabilities import probe_bridges
from vifguard.agent.settings import Settings
from vifguard.bridging.bridge import is_ours, port_of_mark
from vifguard.bridging.member_filters import (
    TABLE,
    MemberFilter,
    NftFilter,
    VlanFilter,
    forwarding_members,
)
from vifguard.bridging.uplinks import leads_out
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import BRIDGE, Link, Links
from vifguard.kernel.nftables.nft_members import MembersTable

log = logging.getLogger("vifguard")


@dataclass(frozen=True, slots=True)
class UnguardedMember:
    """A member without a guard that does not lead out of the host; whether it `forwards`."""

    bridge: str
    link: Link
    forwards: bool

    def __str__(self) -> str:
        """Render it as `vifguard host check` prints it."""
        return f"{self.link.name} on {self.bridge}: {'forwards' if self.forwards else 'dropped'}"


def is_unguarded(
    link: Link, links: Mapping[int, Link], trusted: Collection[str] = (), *, has_guard: bool
) -> bool:
    """Whether a member of a bridge is neither an uplink, nor `trusted` by name, nor guarded.

    `links` are all of the host, by index. `has_guard`: it has a guard that was read back.
    """
    return not (has_guard or link.name in trusted or leads_out(link, links))


def unguarded(devices: Collection[str] = ()) -> list[UnguardedMember]:
    """The unguarded members of the operator's bridges that an agent has adopted, and of `devices`.

    Read from the kernel alone: a guarded interface bears its port (`ip link` shows it as the
    alias), and may forward where its bridge is filtered. The members that an agent trusts are
    known to that agent only. Raises OSError where the host cannot be read.
    """
    with ExitStack() as cleanup:
        here = {link.index: link for link in cleanup.enter_context(Links()).all()}
        filters = list(_filters(cleanup))
        return [
            member
            for bridge in here.values()
            if bridge.kind == BRIDGE and not is_ours(bridge)
            for member in _unguarded(bridge, here, filters, is_adopted=bridge.name in devices)
        ]


def announce_cut(settings: Settings) -> None:
    """Log the members that an agent with these settings is to cut off, unless a port is for them.

    None are where the kernel filters no members. Raises OSError where the host cannot be read.
    """
    devices = frozenset(settings.physical.values())
    if settings.keep_unguarded or not devices:
        return
    found = [
        member
        for member in unguarded(devices)
        if member.forwards and member.bridge in devices and member.link.name not in settings.trusted
    ]
    if not found or not probe_bridges().members:
        return
    for member in found:
        link = member.link
        log.warning(
            "interface %s (%s) on bridge %s has no guard yet: unless a port is for it, it is cut "
            "off once all ports are known; give it one, or start the agent with --trust %s or "
            "--keep-unguarded",
            *(link.name, link.mac, member.bridge, link.name),
        )


def _filters(cleanup: ExitStack) -> Iterator[MemberFilter]:
    yield VlanFilter(cleanup.enter_context(Bridges()))
    try:
        yield NftFilter(cleanup.enter_context(MembersTable(TABLE)))
    except OSError as error:
        # A kernel without nftables.
        if error.errno != errno.EPROTONOSUPPORT:
            raise


def _unguarded(
    bridge: Link, here: Mapping[int, Link], filters: Collection[MemberFilter], *, is_adopted: bool
) -> Iterator[UnguardedMember]:
    members = [link for link in here.values() if link.master == bridge.index]
    inside = forwarding_members(filters, bridge, [link.index for link in members])
    if not (is_adopted or inside is not None or any(map(port_of_mark, members))):
        return
    for link in members:
        forwards = inside is None or link.index in inside
        if is_unguarded(link, here, has_guard=bool(port_of_mark(link)) and forwards):
            yield UnguardedMember(bridge.name, link, forwards)
