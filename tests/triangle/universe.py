"""A tiny universe, enumerated: two MACs, two addresses a family, every shape of every message.

Everything a guard looks at takes every value that could matter to it; what no guard looks at
stays fixed. Frames are yielded with a name that says how they were made.
"""

from collections.abc import Iterator
from ipaddress import IPv6Address
from itertools import product

from vifguard.model.address import Mac, parse_address, parse_network
from vifguard.model.guard import GUARDS_OF, SELECTABLE, Guard, LinkLocal, Profile, Role
from vifguard.model.policy import PortPolicy, Storm
from vifguard.packet import build

OWN, OTHER = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
OWN4, OTHER4, PUBLIC4 = "10.0.0.10", "10.0.0.11", "192.0.2.7"
OWN6, OTHER6 = "fd00::a", "fd00::b"
LL_OWN, LL_OTHER = str(Mac.parse(OWN).link_local), str(Mac.parse(OTHER).link_local)
CHOSEN = ("fd00::a0b0:c0d0:1:2", "fe80::a0b0:c0d0:1:2")
"""Addresses that a guest may claim where it may claim any; then those it claimed, and those that
became its own."""
CLAIMED = ("fd00::a0b0:c0d0:1:3", "fe80::a0b0:c0d0:1:3")
LEARNED = ("fd00::a0b0:c0d0:1:4", "fe80::a0b0:c0d0:1:4")
BROADCAST = "ff:ff:ff:ff:ff:ff"
UNLIMITED = Storm(rate=1_000_000_000, burst=1_000_000_000)

Named = tuple[str, bytes]


def policy(guards: frozenset[Guard], **changes) -> PortPolicy:
    """The port of the universe with these guards."""
    wanted = {
        "port_id": "11111111-2222-3333-4444-555555555555",
        "guards": guards,
        "macs": frozenset({Mac.parse(OWN)}),
        "prefixes": frozenset({parse_network(f"{OWN4}/32"), parse_network(f"{OWN6}/128")}),
        "link_local": LinkLocal.EUI64,
        "public": frozenset({parse_network("192.0.2.0/24"), parse_network("2001:db8::/32")}),
        "foreign_vrids4": frozenset({51, 64, 255}),
        "foreign_vrids6": frozenset({52, 127}),
        "storm": UNLIMITED,
    }
    return PortPolicy(**(wanted | changes))


def policies() -> Iterator[tuple[str, PortPolicy]]:
    """Every profile, every guard alone, and the choices that change what they mean."""
    strict = GUARDS_OF[Profile.STRICT]
    for profile in Profile:
        yield profile.value, policy(GUARDS_OF[profile])
    for guard in sorted(SELECTABLE):
        yield f"only {guard.value}", policy(frozenset({guard}))
    for role in Role:
        yield f"strict, {role.value}", policy(strict, roles=frozenset({role}))
    yield "strict, any link-local", policy(strict, link_local=LinkLocal.ANY)
    yield "strict, no link-local", policy(strict, link_local=LinkLocal.NONE)
    yield "strict, nothing owned", policy(strict, prefixes=frozenset(), link_local=LinkLocal.NONE)
    none = {"foreign_vrids4": frozenset(), "foreign_vrids6": frozenset()}
    yield "strict, no router id taken", policy(strict, **none)
    yield "strict, no MAC", policy(strict, macs=frozenset())
    yield "strict, closed", policy(strict, closed="admin_state_up is false")
    yield "strict, wide prefixes", policy(strict, prefixes=_networks("10.0.0.8/30", "fd00::/96"))
    many = _networks(*(f"10.1.{i}.1/32" for i in range(40)), f"{OWN4}/32", f"{OWN6}/128")
    yield "strict, many addresses", policy(strict, prefixes=many)
    both = frozenset({Mac.parse(OWN), Mac.parse(OTHER)})
    yield "strict, both MACs", policy(strict, macs=both)
    listed = frozenset({0x8100, 0x88B5})
    yield "strict, two more types", policy(strict, ethertypes=listed)
    watched = frozenset({parse_address(OWN4), parse_address(OWN6)})
    yield "strict, watched", policy(strict, watched=watched)
    for profile in (Profile.STRICT, Profile.ROUTER):
        yield f"{profile.value}, learned", policy(GUARDS_OF[profile], **LEARNING)
    yield "advertiser, learned", policy(strict, roles=frozenset(Role), **LEARNING)
    yield (
        "strict, learned beside others",
        policy(
            strict,
            prefixes=many | _networks("fd00::a0b0:c0d0:1:0/125"),
            watched=watched,
            **LEARNING,
        ),
    )


def _networks(*texts: str):
    return frozenset(parse_network(text) for text in texts)


LEARNING = {
    "link_local": LinkLocal.LEARNED,
    "claimable": _networks("fe80::/64", "fd00::/64"),
    "tentative": frozenset(map(parse_address, CLAIMED)),
    "learned": frozenset(map(parse_address, LEARNED)),
}


def ethernets() -> Iterator[Named]:
    """Every kind of Ethernet header around an ARP, an IPv4 and an IPv6 packet."""
    inners = {
        "arp": build.arp(OWN, OWN4, target_ip=OTHER4),
        "ipv4": build.ipv4(OWN4, OTHER4, build.udp(1, 1)),
        "ipv6": build.ipv6(OWN6, OTHER6, build.udp(1, 1)),
    }
    sources = [OWN, OTHER, BROADCAST, "00:00:00:00:00:00", "01:00:5e:00:00:01"]
    targets = [OTHER, OWN, BROADCAST, "01:80:c2:00:00:00", "01:80:c2:00:00:0f"]
    targets += ["01:80:c2:00:00:10", "33:33:00:00:00:01"]
    for (name, inner), src, dst in product(inners.items(), sources, targets):
        yield f"{name} {src}>{dst}", build.ethernet(src, dst, inner)
        for tpid, vid in product((0x8100, 0x88A8, 0x9100, 0x9200), (0, 100)):
            tagged = build.vlan(inner, vid, tpid=tpid)
            yield f"{name} {src}>{dst} tag {tpid:x}/{vid}", build.ethernet(src, dst, tagged)
        yield f"{name} {src}>{dst} snap", build.ethernet(src, dst, build.snap(inner))
        double = build.vlan(build.vlan(inner, 0), 0)
        yield f"{name} {src}>{dst} 2 tags", build.ethernet(src, dst, double)
    types = [0, 3, 0x5DC, 0x5FF, 0x600, 0x842, 0x6003, 0x8035, 0x8808, 0x8809, 0x8847, 0x8863]
    types += [0x8864, 0x886F, 0x8870, 0x888E, 0x88B5, 0x88C7, 0x88CC, 0x88E5, 0x88E7, 0x88F7]
    types += [0x8902, 0x9000, 0xFFFF, 0x0800, 0x0806, 0x86DD]
    for number, src, size in product(types, (OWN, OTHER), (0, 1, 46)):
        frame = build.ethernet(src, BROADCAST, bytes(size), ethertype=number)
        yield f"type {number:x} {src} {size} bytes", frame


def arps() -> Iterator[Named]:
    """ARP and RARP: every sender, target, operation, length."""
    macs, addresses = (OWN, OTHER), (OWN4, OTHER4, "0.0.0.0")
    for src, sha, tha, spa, tpa, op in product(
        macs, macs, (*macs, BROADCAST), addresses, addresses, (0, 1, 2, 3, 4, 8, 257)
    ):
        said = f"{src} sha {sha} tha {tha} {spa}>{tpa} op {op}"
        fields = {"target_mac": tha, "target_ip": tpa, "op": op}
        yield f"arp {said}", build.ethernet(src, BROADCAST, build.arp(sha, spa, **fields))
        piece = build.arp(sha, spa, ethertype=0x8035, **fields)
        yield f"rarp {said}", build.ethernet(src, BROADCAST, piece)
    odd = [
        {"hardware": 6},
        {"protocol": 0x86DD},
        {"hardware_length": 8},
        {"protocol_length": 16},
        {"hardware_length": 0, "protocol_length": 0},
    ]
    for changes, kind in product(odd, (0x0806, 0x8035)):
        piece = build.arp(OWN, OWN4, target_ip=OTHER4, ethertype=kind, **changes)
        yield f"arp {kind:x} {changes}", build.ethernet(OWN, BROADCAST, piece)
    for op, kind in product((1, 3), (0x0806, 0x8035)):
        whole = build.ethernet(
            OWN,
            BROADCAST,
            build.arp(OWN, OWN4 if op == 1 else "0.0.0.0", target_mac=OWN, op=op, ethertype=kind),
        )
        for size in (14, 27, 28, 41, 42, 43, 59, 60, 61, 64, 1442):
            frame = build.pad(whole, size, 0x5A)[:size]
            yield f"arp {kind:x} op {op} of {size} bytes", frame


def neighbours() -> Iterator[Named]:
    """Neighbour discovery: every type, source, target, destination, option, chain."""
    sources = (OWN6, OTHER6, LL_OWN, LL_OTHER, "::")
    targets = (OWN6, OTHER6, LL_OWN, "ff02::1", "::")
    options = {
        "none": (),
        "slla own": (build.slla(OWN),),
        "slla other": (build.slla(OTHER),),
        "tlla own": (build.tlla(OWN),),
        "tlla other": (build.tlla(OTHER),),
        "tlla group": (build.tlla("33:33:00:00:00:01"),),
        "tlla zero": (build.tlla("00:00:00:00:00:00"),),
        "tlla other, slla other": (build.tlla(OTHER), build.slla(OTHER)),
        "nonce": (build.nd_option(14, bytes(6)),),
        "length 0": (build.nd_option(14, bytes(6), length=0),),
        "past the end": (build.nd_option(14, bytes(6), length=2),),
        "slla of 16": (build.nd_option(1, bytes(14)),),
        "half": (b"\x0e\x01\x00",),
        "own, then other": (build.slla(OWN), build.slla(OTHER)),
        "other, then broken": (build.slla(OTHER), b"\x0e\x00"),
        "broken, then other": (build.nd_option(14, length=0), build.slla(OTHER)),
        "16": (build.nd_option(14),) * 16,
        "17": (build.nd_option(14),) * 17,
    }
    for source, target, (name, said) in product(sources, targets, options.items()):
        solicited = (
            build.solicited_node(parse_address(target)) if target != "::" else "ff02::1:ff00:0"
        )
        for dst in (str(solicited), "ff02::1", "ff02::2", OTHER6):
            for piece_name, piece in {
                "ns": build.ns(target, *said),
                "na": build.na(target, *said),
                "na solicited": build.na(target, *said, solicited=True),
            }.items():
                yield _in6(f"{piece_name} {target} {name}", source, dst, piece)
    for source, dst, (name, said) in product(
        sources, ("ff02::1", "ff02::2", OTHER6), options.items()
    ):
        yield _in6(f"rs {name}", source, dst, build.rs(*said))
        yield _in6(f"ra {name}", source, dst, build.ra(*said))
        yield _in6(f"redirect {name}", source, dst, build.redirect(OWN6, OTHER6, *said))
    messages = {
        "rs": build.rs(build.slla(OWN)),
        "ra": build.ra(build.slla(OWN)),
        "ns": build.ns(OTHER6, build.slla(OWN)),
        "na": build.na(OWN6, build.tlla(OWN)),
        "na other": build.na(OWN6, build.tlla(OTHER)),
        "redirect": build.redirect(OWN6, OTHER6),
    }
    for (name, piece), source in product(messages.items(), (LL_OWN, OWN6)):
        for hops, code in product((255, 254, 64, 1, 0), (0, 1)):
            coded = build.Layer(
                piece.octets[:1] + bytes((code,)) + piece.octets[2:], piece.number, piece.pending
            )
            packet = build.ipv6(source, "ff02::1", coded, hop_limit=hops)
            yield f"{name} hops {hops} code {code}", build.ethernet(OWN, BROADCAST, packet)
        for chain_name, chained in chains(piece):
            yield _in6(f"{name} behind {chain_name}", source, "ff02::1", chained)
        whole = _in6(name, source, OTHER6, piece)[1]
        for cut in range(54, len(whole) + 1):
            yield f"{name} cut at {cut}", whole[:cut]
            short = build.ipv6(source, OTHER6, piece, hop_limit=255, payload_length=cut - 54)
            yield f"{name} says {cut - 54}", build.ethernet(OWN, OTHER, short)


def choices() -> Iterator[Named]:
    """Every way to use an address that a guest may choose itself, or nearly one."""
    edges = ("::", "::1", "::ffff", "::1:0", "::ffff:ffff:ffff", "::1:0:0:0")
    edges += ("::ff:fe00:1", "::ff:ff00:1", "::fe:fe00:1", "::fdff:ffff:ffff:ff7f")
    edges += ("::fdff:ffff:ffff:ff80", "::fdff:ffff:ffff:ffff", "::fdff:ffff:fffe:ffff")
    prefixes = ("fd00::", "fe80::", "fe80:0:0:1::", "fd00:0:0:1::")
    addresses = [
        *(str(_sum(prefix, edge)) for prefix, edge in product(prefixes, edges)),
        *CHOSEN,
        *CLAIMED,
        *LEARNED,
        LL_OTHER,
    ]
    for address in addresses:
        group = str(build.solicited_node(parse_address(address)))
        uses = {
            "dad": ("::", group, build.ns(address)),
            "dad with nonce": ("::", group, build.ns(address, build.nd_option(14, bytes(6)))),
            "dad with slla": ("::", group, build.ns(address, build.slla(OWN))),
            "dad elsewhere": ("::", "ff02::1", build.ns(address)),
            "ns from": (
                address,
                str(build.solicited_node(parse_address(OTHER6))),
                build.ns(OTHER6),
            ),
            "ns misdirected": (address, "ff02::2", build.ns(OTHER6)),
            "na of": (address, "ff02::1", build.na(address)),
            "na for": (LL_OWN, "ff02::1", build.na(address)),
            "na from": (address, "ff02::1", build.na(OWN6)),
            "rs from": (address, "ff02::2", build.rs()),
            "ra from": (address, "ff02::1", build.ra()),
            "redirect from": (address, OTHER6, build.redirect(OWN6, OTHER6)),
            "udp from": (address, OTHER6, build.udp(1, 2)),
            "udp to": (OTHER6, address, build.udp(1, 2)),
        }
        for name, (source, dst, piece) in uses.items():
            yield _in6(f"{name} {address}", source, dst, piece)
            packet = build.ipv6(source, dst, piece, hop_limit=254)
            yield f"{name} {address} hops 254", build.ethernet(OWN, OTHER, packet)


def _sum(prefix: str, identifier: str) -> IPv6Address:
    return IPv6Address(int(IPv6Address(prefix)) | int(IPv6Address(identifier)))


def _in6(name: str, source: str, dst: str, piece: build.Layer) -> Named:
    packet = build.ipv6(source, dst, piece, hop_limit=255)
    return f"{name} {source}>{dst}", build.ethernet(OWN, OTHER, packet)


def chains(piece: build.Layer) -> Iterator[tuple[str, build.Layer]]:
    """The piece behind every order of extension headers that means something."""
    dest, hop = build.destination_options, build.hop_by_hop
    yield "hop-by-hop", hop(piece)
    yield "router alert", hop(piece, build.router_alert6())
    yield "destination", dest(piece)
    yield "destination of 32", dest(piece, bytes(30))
    yield "hop-by-hop, destination", hop(dest(piece))
    yield "destination, hop-by-hop", dest(hop(piece))
    yield "hop-by-hop twice", hop(hop(piece))
    for kind in (0, 2, 3, 4):
        yield f"routing {kind}", build.routing(piece, kind=kind)
    yield "authentication", build.authentication(piece)
    yield "authentication of 4", build.authentication(piece, b"", length=0)
    for kind in (135, 139, 140):
        yield f"extension {kind}", build.extension(kind, piece)
    yield "atomic fragment", build.fragment(piece)
    yield "first fragment", build.fragment(piece, more=True)
    yield "later fragment", build.fragment(piece, 1)
    yield "later fragment that more follow", build.fragment(piece, 185, more=True)
    yield "later fragment of options", build.fragment(dest(piece), 1)
    yield "first fragment of options", build.fragment(dest(piece), more=True)
    yield "two fragment headers", build.fragment(build.fragment(piece))
    yield "options that lie", build.extension(60, piece, length=200)
    yield "no next header", dest(piece, next_header=59)
    yield "ESP", dest(piece, next_header=50)
    for count in (7, 8, 9):
        chained = piece
        for _ in range(count):
            chained = dest(chained)
        yield f"{count} headers", chained
    chained = piece
    for _ in range(8):
        chained = dest(chained)
    yield "hop-by-hop and 8", hop(chained)


def packets4() -> Iterator[Named]:
    """IPv4: sources, options, fragments, headers that lie."""
    sources = (OWN4, OTHER4, "0.0.0.0", PUBLIC4, "127.0.0.1", "224.0.0.1", "255.255.255.255")
    uppers = {
        "udp": build.udp(1234, 53, bytes(8)),
        "tcp": build.tcp(1, 2),
        "echo": build.icmpv4(8),
        "redirect": build.icmpv4(5),
        "gre": build.Layer(bytes(12), 47),
        "short udp": build.Layer(bytes(7), 17),
        "short tcp": build.Layer(bytes(19), 6),
        "short icmp": build.Layer(b"\x05" + bytes(6), 1),
        "proto 0": build.Layer(bytes(8), 0),
    }
    for kind in (0x11, 0x12, 0x16, 0x17, 0x22, 0x30):
        uppers[f"igmp {kind:x}"] = build.igmp(kind, "224.0.0.251")
    shapes = [{}, {"ttl": 1}, {"more_fragments": True}, {"offset": 1}, {"offset": 185}]
    shapes += [{"version": 6}, {"ihl": 4}, {"ihl": 15}, {"total_length": 19}, {"total_length": 20}]
    shapes += [{"total_length": 2000}, {"total_length": 27}, {"options": build.router_alert4()}]
    for kind, length in product((131, 137, 7, 68, 148), (None, 0, 1, 2, 3, 255)):
        shapes.append({"options": build.ip4_option(kind, bytes(6), length=length)})
    shapes += [{"options": bytes((1,)) * 40}, {"options": bytes((1,)) * 39 + b"\x83"}]
    shapes += [{"options": b"\x01\x01\x01\x07"}, {"options": b"\x00\x83\x03\x04"}]
    shapes += [{"ttl": 1, "options": build.router_alert4()}]
    for source, (name, upper), shape in product(sources, uppers.items(), shapes):
        for dst in ("224.0.0.22", OTHER4) if "igmp" in name else (OTHER4,):
            packet = build.ipv4(source, dst, upper, **shape)
            yield f"ipv4 {source}>{dst} {name} {shape}", build.ethernet(OWN, OTHER, packet)


def packets6() -> Iterator[Named]:
    """IPv6: sources, chains, lengths, multicast listeners."""
    sources = (OWN6, OTHER6, LL_OWN, LL_OTHER, "::", "ff02::1", "::1", "2001:db8::7", "fe80:1::1")
    uppers = {
        "udp": build.udp(1, 2),
        "tcp": build.tcp(1, 2),
        "echo": build.icmpv6(128),
        "too short icmp": build.Layer(b"\x86\x00\x00", 58),
        "short udp": build.Layer(bytes(7), 17),
        "short tcp": build.Layer(bytes(19), 6),
        "query": build.mld(130, "::"),
        "report": build.mld(131, "ff02::fb"),
        "done": build.mld(132, "ff02::fb"),
        "report 2": build.mldv2_report("ff02::fb"),
    }
    for source, (name, upper), hops in product(sources, uppers.items(), (1, 64, 255)):
        for dst in ("ff02::16", OTHER6):
            packet = build.ipv6(source, dst, upper, hop_limit=hops)
            yield f"ipv6 {source}>{dst} {name}", build.ethernet(OWN, OTHER, packet)
            for chain_name, chained in chains(upper):
                packet = build.ipv6(source, dst, chained, hop_limit=hops)
                frame = build.ethernet(OWN, OTHER, packet)
                yield f"ipv6 {source}>{dst} {name} hops {hops} behind {chain_name}", frame
    alerts = [b"\x01\x00\x05\x02\x00\x00", b"\x05\x02\x00\x01\x01\x00", b"\x05\x03\x00\x00\x00\x00"]
    alerts += [build.router_alert6() + bytes(8)]
    for options in alerts:
        chained = build.hop_by_hop(build.mld(131, "ff02::fb"), options)
        packet = build.ipv6("::", "ff02::16", chained, hop_limit=1)
        yield f"report with {options.hex()}", build.ethernet(OWN, OTHER, packet)
    for version, length in product((4, 6), (None, 0, 1, 7, 9, 2000)):
        for number in (None, 59):
            packet = build.ipv6(
                OWN6,
                OTHER6,
                build.udp(1, 2),
                version=version,
                payload_length=length,
                next_header=number,
            )
            frame = build.ethernet(OWN, OTHER, packet)
            yield f"ipv6 version {version} length {length} next {number}", frame


def dhcps() -> Iterator[Named]:
    """DHCP of both families: ports, addresses, messages, options."""
    bootps = {
        "discover": build.dhcpv4(OWN),
        "other's": build.dhcpv4(OTHER),
        "answer": build.dhcpv4(OWN, 2, op=2),
        "relayed": build.dhcpv4(OWN, giaddr=OWN4),
        "long hlen": build.dhcpv4(OWN, hlen=16),
        "not Ethernet": build.dhcpv4(OWN, htype=6),
        "no magic": build.dhcpv4(OWN, magic=bytes(4)),
        "option 82": build.dhcpv4(OWN, 1, build.dhcp_option(82, b"x")),
        "option past the end": build.dhcpv4(OWN, tail=b"\x35\x05\x01"),
        "half an option": build.dhcpv4(OWN, tail=b"\x35"),
        "no end": build.dhcpv4(OWN, tail=b"\x35\x01\x01"),
        "no options": build.dhcpv4(OWN, tail=b""),
        "82 behind the end": build.dhcpv4(OWN, tail=b"\xff\x52\x01x"),
        "63 pads": build.dhcpv4(OWN, tail=bytes(63) + b"\xff"),
        "64 pads": build.dhcpv4(OWN, tail=bytes(64)),
        "64 pads and end": build.dhcpv4(OWN, tail=bytes(64) + b"\xff"),
        "65 pads": build.dhcpv4(OWN, tail=bytes(65)),
        "own ciaddr": build.dhcpv4(OWN, 7, ciaddr=OWN4),
        "other's ciaddr": build.dhcpv4(OWN, 7, ciaddr=OTHER4),
        "239 bytes": build.dhcpv4(OWN)[:239],
        "240 bytes": build.dhcpv4(OWN)[:240],
        "16 bytes": build.dhcpv4(OWN)[:16],
        "15 bytes": build.dhcpv4(OWN)[:15],
        "empty": b"",
    }
    ports = (67, 68, 1067)
    for (name, message), sport, dport in product(bootps.items(), ports, ports):
        for source, dst in product(("0.0.0.0", OWN4, OTHER4), ("255.255.255.255", OTHER4)):
            for shape in ({}, {"more_fragments": True}):
                packet = build.ipv4(source, dst, build.udp(sport, dport, message), **shape)
                said = f"dhcp {name} {source}:{sport}>{dst}:{dport} {shape}"
                yield said, build.ethernet(OWN, BROADCAST, packet)
    for name, message in named4().items():
        packet = build.ipv4("0.0.0.0", "255.255.255.255", build.udp(68, 67, message))
        yield f"dhcp {name}", build.ethernet(OWN, BROADCAST, packet)
    messages = {f"message {kind}": build.dhcpv6(kind) for kind in (*range(15), 20, 35, 36, 37)}
    messages |= {"3 bytes": b"\x01\x00\x00", "empty": b""}
    for (name, message), sport, dport in product(messages.items(), (546, 547, 1), (546, 547, 1)):
        datagram = build.udp(sport, dport, message)
        for source in (LL_OWN, LL_OTHER, OWN6, OTHER6, "::"):
            packet = build.ipv6(source, "ff02::1:2", datagram)
            yield f"dhcpv6 {name} {source} {sport}>{dport}", build.ethernet(OWN, BROADCAST, packet)
    for chain_name, chained in chains(build.udp(546, 547, build.dhcpv6(1))):
        packet = build.ipv6(LL_OWN, "ff02::1:2", chained)
        yield f"dhcpv6 behind {chain_name}", build.ethernet(OWN, BROADCAST, packet)


def requested(address: str) -> bytes:
    """DHCPv4's option 50."""
    return build.dhcp_option(50, parse_address(address).packed)


def named4() -> dict[str, bytes]:
    """DHCPv4 messages that say their type and name an address, in every way."""
    return {
        **{
            f"type {kind}, address {said}": build.dhcpv4(OWN, kind, requested(address))
            for kind in (1, 3, 4, 7)
            for said, address in (("own", OWN4), ("other's", OTHER4), ("zero", "0.0.0.0"))
        },
        "decline, no address": build.dhcpv4(OWN, 4),
        "decline, address first": build.dhcpv4(OWN, tail=requested(OTHER4) + b"\x35\x01\x04\xff"),
        "request, then decline": build.dhcpv4(OWN, 3, b"\x35\x01\x04", requested(OTHER4)),
        "type of 2": build.dhcpv4(OWN, tail=b"\x35\x02\x04\x04\xff"),
        "type of 0": build.dhcpv4(OWN, tail=b"\x35\x00\xff"),
        "address of 3": build.dhcpv4(OWN, 4, build.dhcp_option(50, bytes(3))),
        "address of 8": build.dhcpv4(OWN, 4, build.dhcp_option(50, bytes(8))),
        "two addresses": build.dhcpv4(OWN, 4, requested(OWN4), requested(OTHER4)),
        "overload": build.dhcpv4(OWN, 4, build.dhcp_option(52, b"\x03"), requested(OWN4)),
        "address behind the end": build.dhcpv4(OWN, 4, requested(OWN4), b"\xff", requested(OTHER4)),
        "decline, no end": build.dhcpv4(OWN, 4, requested(OTHER4))[:-1],
    }


def leases6() -> dict[str, tuple[bytes, ...]]:
    """Options of DHCPv6 that carry addresses, whole and broken, in every association."""
    option = build.dhcpv6_option

    def address(text: str, length: int | None = None) -> bytes:
        return option(5, parse_address(text).packed + bytes(8), length=length)

    def prefix(text: str) -> bytes:
        return option(26, bytes(8) + b"\x40" + parse_address(text).packed)

    def na(*inner: bytes, length: int | None = None) -> bytes:
        return option(3, bytes(12) + b"".join(inner), length=length)

    own, other = address(OWN6), address(OTHER6)
    found = {
        "own": (own,),
        "other": (other,),
        "own link-local": (address(LL_OWN),),
        "na own": (na(own),),
        "na other": (na(other),),
        "na own, other": (na(own, other),),
        "na own, na other": (na(own), na(other)),
        "na empty": (na(),),
        "na empty, other": (na(), other),
        "na in na": (na(na(other)),),
        "ta own": (option(4, bytes(4) + own),),
        "ta other": (option(4, bytes(4) + other),),
        "ta of 3": (option(4, bytes(3)),),
        "na of 11": (option(3, bytes(11)),),
        "pd own": (option(25, bytes(12) + prefix(OWN6)),),
        "pd other": (option(25, bytes(12) + prefix(OTHER6)),),
        "prefix of 24": (option(26, bytes(24)),),
        "address of 23": (option(5, bytes(23)),),
        "address past the na": (na(own, length=20),),
        "past the end": (address(OWN6, length=60),),
        "own, then broken": (own, b"\x00\x05\x00"),
        "other, then broken": (other, b"\x00"),
        "broken, then other": (option(5, bytes(8)), other),
        "own with a status": (na(option(5, parse_address(OWN6).packed + bytes(8) + other)),),
    }
    for count in (30, 31, 32, 33):
        found[f"{count} and other"] = (*(option(16),) * count, other)
        found[f"{count} and na other"] = (*(option(16),) * count, na(other))
        found[f"na of {count} and other"] = (na(*(option(16),) * count, other),)
    return found


def dhcp_addresses6() -> Iterator[Named]:
    """DHCPv6 messages that carry addresses."""
    for kind, (name, leases) in product((5, 8, 9, 36), leases6().items()):
        for source in (LL_OWN, OWN6) if kind == 36 else (LL_OWN,):
            packet = build.ipv6(
                source, "ff02::1:2", build.udp(546, 547, build.dhcpv6(kind, *leases))
            )
            yield f"dhcpv6 {kind} {name} {source}", build.ethernet(OWN, BROADCAST, packet)


def advertisements() -> Iterator[Named]:
    """VRRP and CARP of both families: ids, addresses, shapes, where from and where to."""
    families = (
        (build.ipv4, OWN4, OTHER4, "224.0.0.18", ("224.0.0.1", "255.255.255.255", "0.0.0.0")),
        (build.ipv6, OWN6, OTHER6, "ff02::12", ("ff02::1", "ff05::12", "::")),
    )
    for ip, own, other, group, elsewhere in families:
        hops = "ttl" if ip is build.ipv4 else "hop_limit"
        for name, piece in _vrrps(own, other).items():
            for source, dst, limit in (
                (own, group, 255),
                (other, group, 255),
                (own, group, 254),
                (own, other, 64),
                *((own, each, 255) for each in elsewhere),
            ):
                packet = ip(source, dst, piece, **{hops: limit})
                yield f"{name} {source}>{dst} {limit}", build.ethernet(OWN, OTHER, packet)
        whole = build.vrrp(1, own)
        if ip is build.ipv4:
            shapes = [{"more_fragments": True}, {"offset": 1}, {"options": build.router_alert4()}]
            chained = [(str(shape), ip(own, group, whole, ttl=255, **shape)) for shape in shapes]
        else:
            chained = [(n, ip(own, group, c, hop_limit=255)) for n, c in chains(whole)]
        for name, packet in chained:
            yield f"vrrp behind {name}", build.ethernet(OWN, OTHER, packet)


def _vrrps(own: str, other: str) -> dict[str, build.Layer]:
    ids = {id_: build.vrrp(id_, own) for id_ in (0, 1, 50, 51, 52, 63, 64, 127, 128, 254, 255)}
    found = {f"id {id_}": piece for id_, piece in ids.items()}
    found |= {f"carp id {id_}": build.carp(id_) for id_ in (0, 1, 51, 52, 255)}
    lists = {"own": (own,), "other": (other,), "own, other": (own, other), "link": (LL_OWN,)}
    lists |= {f"{n} own": (own,) * n for n in (7, 63, 64, 65)} | {"none": ()}
    lists["64th other"] = (own,) * 63 + (other,)
    for name, listed in lists.items():
        found[f"claims {name}"] = build.vrrp(1, *listed)
    found |= {
        f"kind {kind:x}": build.vrrp(1, own, kind=kind) for kind in (0, 0x11, 0x21, 0x32, 0x41)
    }
    found |= {f"count {n}": build.vrrp(1, own, count=n) for n in (0, 2, 7, 255)}
    found |= {f"{n} behind": build.vrrp(1, own, rest=bytes(n)) for n in (1, 4, 8, 16)}
    found |= {f"carp kind {k:x}": build.carp(1, kind=k) for k in (0x31, 0x22)}
    found |= {f"carp count {n}": build.carp(1, count=n) for n in (6, 5, 1)}
    for n in range(12):
        found[f"cut to {n}"] = build.Layer(build.vrrp(1, own).octets[:n], 112)
    if "." in own:
        for name, listed in lists.items():
            if name != "link":
                found[f"version 2 claims {name}"] = build.vrrp2(1, *listed)
        found["version 2, 51"] = build.vrrp2(51, own, password=b"secret")
    return found


def frames() -> Iterator[Named]:
    """All of it, and each frame of some kinds cut short at every byte."""
    plain = (ethernets, arps, neighbours, choices, packets4, packets6)
    for family in (*plain, dhcps, dhcp_addresses6, advertisements):
        yield from family()
