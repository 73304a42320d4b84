"""The policy of the comparison in nftables' bridge family: by us, as well as we know how.

One lookup a check, whatever the number of ports: sets of interface, MAC and address. There is
no `ct state` in the bridge family without nf_conntrack_bridge, which few kernels have, so openings
are kept in a set that packets add to: without TCP's states and with one timeout.
That is less than the others do, and cheaper.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from bench import rules
from bench.world import World, other_guest
from vifguard.lab.world import netns

NAME = "nftables bridge"

_TABLE = """\
table bridge bench {{
  set own4 {{ type iface_index . ether_addr . ipv4_addr; elements = {{ {own4} }}; }}
  set own6 {{ type iface_index . ether_addr . ipv6_addr; elements = {{ {own6} }}; }}
  set macs {{ type iface_index . ether_addr; elements = {{ {macs} }}; }}
  set served {{ type inet_proto . inet_service; elements = {{ {served} }}; }}
  set from4 {{ type ipv4_addr . inet_proto . inet_service; elements = {{ {from4} }}; }}
  set from6 {{ type ipv6_addr . inet_proto . inet_service; elements = {{ {from6} }}; }}
  set open4 {{
    type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service
    size 262144; flags dynamic,timeout; timeout 1h
  }}
  set open6 {{
    type ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service
    size 262144; flags dynamic,timeout; timeout 1h
  }}
  chain group {{
    meta l4proto . th dport @served goto opened
    ether type ip ip saddr . meta l4proto . th dport @from4 goto opened
    ether type ip6 ip6 saddr . meta l4proto . th dport @from6 goto opened
    drop
  }}
  chain opened {{
    ether type ip add @open4 \
{{ ip saddr . ip daddr . meta l4proto . th sport . th dport }} accept
    ether type ip6 add @open6 \
{{ ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport }} accept
  }}
  chain four {{
    iif . ether saddr . ip saddr != @own4 drop
    ip saddr . ip daddr . meta l4proto . th sport . th dport @open4 accept
    ip daddr . ip saddr . meta l4proto . th dport . th sport @open4 accept
    udp sport 67 drop
    goto group
  }}
  chain six {{
    meta l4proto ipv6-icmp icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    iif . ether saddr . ip6 saddr != @own6 drop
    ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport @open6 accept
    ip6 daddr . ip6 saddr . meta l4proto . th dport . th sport @open6 accept
    meta l4proto ipv6-icmp icmpv6 type nd-router-advert drop
    udp sport 547 drop
    goto group
  }}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00 oif . ether daddr != @macs drop
    ether type vmap {{ ip : goto four, ip6 : goto six }}
    ether type arp iif . ether saddr . arp saddr ip @own4 accept
  }}
}}
"""


def put(world: World, count: int) -> None:
    """Load the table for all ports of the world and a group of so many rules."""
    netns.run(["nft", "-f", "-"], netns=world.name, stdin=_text(world, count))


def changes(world: World, count: int) -> dict[str, float]:
    """Seconds for all ports, and for one more port, rule, and remote address of one."""
    began = time.perf_counter()
    put(world, count)
    seconds = {"all": time.perf_counter() - began}
    guest = other_guest(world.ports)
    port = [
        f"add element bridge bench own4 {{ {world.a.tap} . {guest.mac} . {guest.ip4} }}",
        f"add element bridge bench own6 {{ {world.a.tap} . {guest.mac} . {guest.ip6} }}",
        f"add element bridge bench macs {{ {world.a.tap} . {guest.mac} }}",
    ]
    steps = {
        "port": port,
        "rule": ["add element bridge bench served { tcp . 9 }"],
        "member": ["add element bridge bench from4 { 10.7.0.1 . tcp . 9 }"],
    }
    for name, lines in steps.items():
        began = time.perf_counter()
        netns.run(["nft", "-f", "-"], netns=world.name, stdin="\n".join(lines))
        seconds[name] = time.perf_counter() - began
    return seconds


def _text(world: World, count: int) -> str:
    guests = {guest.tap: guest for guest in (world.a, world.b)}
    ports = [
        (name, guests.get(name) or other_guest(number))
        for number, name in enumerate(world.interfaces())
    ]
    incoming = rules.incoming(count)
    named = [each for each in incoming if each.remote is not None]
    return _TABLE.format(
        own4=_joined(f"{name} . {guest.mac} . {guest.ip4}" for name, guest in ports),
        own6=_joined(f"{name} . {guest.mac} . {guest.ip6}" for name, guest in ports),
        macs=_joined(f"{name} . {guest.mac}" for name, guest in ports),
        served=_joined(
            {f"{each.protocol_name} . {each.port}" for each in incoming if each.remote is None}
        ),
        from4=_remotes(each for each in named if each.version == 4),
        from6=_remotes(each for each in named if each.version == 6),
    )


def _remotes(named: Iterable[rules.Open]) -> str:
    return _joined(
        f"{each.remote.network_address} . {each.protocol_name} . {each.port}"
        for each in named
        if each.remote is not None
    )


def _joined(elements: Iterable[str]) -> str:
    return ", ".join(elements)
