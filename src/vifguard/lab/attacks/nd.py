"""Group D: IPv6 neighbour discovery."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import BROADCAST, ZERO_MAC, Actors
from vifguard.lab.attacks.attack import (
    PASS,
    Actor,
    Attack,
    Effect,
    Frame,
    Variant,
    VariantsOf,
    drop,
    on,
)
from vifguard.lab.attacks.legal import UNKNOWN_MAC
from vifguard.model.guard import Guard
from vifguard.packet import build

_ND = on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND))
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_RA = on(strict=drop(Guard.RA), mac=PASS, router=drop(Guard.RA))
_PUBLIC = on(strict=drop(Guard.IP), mac=PASS, router=drop(Guard.PUBLIC_IP))
_FOREIGN = on(strict=drop(Guard.IP), mac=PASS, router=PASS)

_NA, _NS, _RS = "L11/unsolicited", "L13/multicast", "L09/link-local"
_ANSWER: f.Flags = {"solicited": True, "override": False}


_row = VariantsOf(_ND)


def _target_spoof() -> tuple[Variant, ...]:
    """An NA for the victim's address: each source, each useful set of flags, both ways."""
    sources: tuple[tuple[str, Callable[[Actors], IPv6Address]], ...] = (
        ("global", lambda c: c.a.ip6),
        ("link-local", lambda c: c.a.ll),
    )
    flags: tuple[tuple[str, f.Flags], ...] = (
        ("override", {"override": True}),
        ("solicited", _ANSWER),
        ("plain", {"override": False}),
    )
    return tuple(
        _row(
            f"{source}-{flag}-{'unicast' if unicast else 'multicast'}",
            _na_for_victim(src, value, unicast=unicast),
            "L11/solicited" if unicast else _NA,
            effect=Effect.NEIGHBOUR if flag == "override" else Effect.DELIVERY,
        )
        for source, src in sources
        for flag, value in flags
        for unicast in (False, True)
    )


def _na_for_victim(src: Callable[[Actors], IPv6Address], flags: f.Flags, *, unicast: bool) -> Frame:
    return lambda c: f.own_na(
        c, c.v.ip6, flags, src=src(c), dst=c.p.ip6 if unicast else f.ALL_NODES
    )


def _from_victim(kind: int, *, size: int = 28) -> Frame:
    """Any ICMPv6 message with the victim's source."""
    dst = f.ALL_NODES if kind in {130, 131, 132, 143} else None
    body = bytes(size)

    def frame(c: Actors) -> bytes:
        return f.icmp6(c, kind, body, src=c.v.ip6, dst=dst or c.p.ip6, hop=255)

    return frame


def _victim_source_rows() -> tuple[Variant, ...]:
    """A variant for each ICMPv6 message, with the victim's source."""
    plain = tuple(
        _row(f"type-{kind}", _from_victim(kind), "L29/echo6", _PUBLIC)
        for kind in (128, 129, 1, 2, 3, 4, 130, 131, 132, 143)
    )
    resolution = (
        _row("type-133", lambda c: f.rs(c, src=c.v.ip6), _RS),
        _row("type-135", lambda c: f.ns(c, c.p.ip6, src=c.v.ip6), _NS),
        _row("type-136", lambda c: f.na(c, c.a.ip6, src=c.v.ip6), _NA),
    )
    return plain + resolution


def _behind_planted_mac(c: Actors) -> bytes:
    """The sender's MAC where a fixed offset would look for it; the victim's in the option."""
    # Byte 66 from the IPv6 header is byte 24 of the options, behind 40 + 2.
    options = b"\x1e\x1c" + bytes(22) + c.a.mac.octets
    return f.na(
        c,
        c.a.ip6,
        f.tlla(c.v.mac),
        chain=(lambda inner: build.destination_options(inner, options),),
    )


def _hops(name: str, make: Callable[[Actors, int], bytes], twin: str) -> tuple[Variant, ...]:
    return tuple(
        _row(f"{name}-hop-limit-{hop}", lambda c, hop=hop: make(c, hop), twin)  # type: ignore[misc]
        for hop in (254, 64, 225)
    )


def _na_option(name: str, option: Callable[[Actors], bytes]) -> Variant:
    return _row(name, lambda c: f.na(c, c.a.ip6, option(c)), _NA, _MAC)


def _ns_option(name: str, option: Callable[[Actors], bytes]) -> Variant:
    return _row(name, lambda c: f.ns(c, c.p.ip6, option(c)), _NS, _MAC)


def _first_of_two(c: Actors) -> bytes:
    """The NA follows in the second fragment, only a destination options header is in the first."""
    whole = build.destination_options(build.na(c.v.ip6, f.tlla(c.a.mac)))
    header = build.fragment(build.Layer(whole.octets[:8], whole.number), more=True)
    return f.ip6(c, header, dst=c.p.ip6, hop=255)


def _first_eight(c: Actors) -> bytes:
    inner = build.na(c.v.ip6, f.tlla(c.a.mac))
    part = build.Layer(inner.octets[:8], inner.number)
    return f.ip6(c, build.fragment(part, more=True), dst=c.p.ip6, hop=255)


def _redirected(option: Callable[[Actors], bytes], c: Actors) -> bytes:
    return f.redirect(c, c.p.ll, option(c))


def _anothers_source(c: Actors) -> bytes:
    return f.slla(c.p.mac)


def _a_group(_: Actors) -> bytes:
    return f.tlla(BROADCAST)


def _zero(_: Actors) -> bytes:
    return f.tlla(ZERO_MAC)


ROWS: tuple[Attack, ...] = (
    Attack(
        id="nd-na-target-spoof",
        title="A neighbour advertisement for another's address",
        group="D",
        guard=Guard.ND,
        published=("CVE-2021-20267", "OSSA-2021-001", "LP#1902917", "LP#1491690"),
        variants=_target_spoof(),
    ),
    Attack(
        id="nd-icmpv6-blanket",
        title="ICMPv6 as a way around the source check",
        group="D",
        guard=Guard.ND,
        published=("CVE-2015-8914", "LP#1502933"),
        variants=_victim_source_rows(),
    ),
    Attack(
        id="nd-ns-src-spoof",
        title="A solicitation poisons the cache of whom it asks",
        group="D",
        guard=Guard.ND,
        published=("RFC 4861 7.2.3",),
        variants=(
            _row(
                "multicast",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), src=c.v.ip6),
                _NS,
                effect=Effect.NEIGHBOUR,
            ),
            _row(
                "unicast",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), src=c.v.ip6, dst=c.p.ip6),
                "L13/unicast-with-mac",
                effect=Effect.NEIGHBOUR,
            ),
        ),
    ),
    Attack(
        id="nd-ns-sll-mismatch",
        title="A link-layer option that is not the sender's",
        group="D",
        guard=Guard.ND,
        published=("RFC 4861",),
        variants=(
            _row("ns-victim", lambda c: f.ns(c, c.p.ip6, f.slla(c.v.mac)), _NS, _MAC),
            _row("ns-random", lambda c: f.ns(c, c.p.ip6, f.slla(UNKNOWN_MAC)), _NS, _MAC),
            _row("rs-victim", lambda c: f.rs(c, f.slla(c.v.mac)), _RS, _MAC),
            _row("rs-random", lambda c: f.rs(c, f.slla(UNKNOWN_MAC)), _RS, _MAC),
            _row("na-victim", lambda c: f.na(c, c.a.ip6, f.tlla(c.v.mac)), _NA, _MAC),
            _row(
                "second-option",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), f.slla(c.v.mac)),
                _NS,
                _MAC,
            ),
        ),
    ),
    Attack(
        id="nd-na-exthdr-offset",
        title="The right MAC where a fixed offset looks, the wrong one in the option",
        group="D",
        guard=Guard.ND,
        variants=(_row("destination-options", _behind_planted_mac, _NA, _MAC),),
    ),
    Attack(
        id="nd-ovs-megaflow",
        title="A spoofed advertisement right after a legal one",
        group="D",
        guard=Guard.ND,
        published=("CVE-2023-5366",),
        variants=(
            _row(
                "after-legal",
                lambda c: f.own_na(c, c.v.ip6),
                _NA,
                effect=Effect.NEIGHBOUR,
            ),
            _row("other-code", lambda c: f.own_na(c, c.v.ip6, code=1), _NA),
        ),
        note="Every variant of the catalogue is played cold and right after its twin.",
    ),
    Attack(
        id="nd-dad-hijack",
        title="Denying the victim its own address",
        group="D",
        guard=Guard.ND,
        published=("RFC 3756 4.1.3",),
        variants=(
            _row("answer", lambda c: f.own_na(c, c.v.ip6), _NA, effect=Effect.NEIGHBOUR),
            _row(
                "answer-link-local",
                lambda c: f.own_na(c, c.v.ip6, src=c.a.ll),
                _NA,
                effect=Effect.NEIGHBOUR,
            ),
            _row("contend", lambda c: f.ns(c, c.v.ip6, src=f.ZERO_6), "L10/global"),
            _row("contend-link-local", lambda c: f.ns(c, c.v.ll, src=f.ZERO_6), "L10/link-local"),
        ),
    ),
    Attack(
        id="nd-unspecified-abuse",
        title=":: as source outside its legal shapes",
        group="D",
        guard=Guard.ND,
        published=("RFC 4861 7.1.1",),
        variants=(
            _row(
                "ns-with-mac",
                lambda c: f.ns(c, c.a.ip6, f.slla(c.a.mac), src=f.ZERO_6),
                "L10/global",
            ),
            _row(
                "ns-unicast",
                lambda c: f.ns(c, c.a.ip6, src=f.ZERO_6, dst=c.p.ip6),
                "L10/global",
            ),
            _row("na", lambda c: f.own_na(c, c.a.ip6, src=f.ZERO_6), _NA),
            _row("rs-with-mac", lambda c: f.rs(c, f.slla(c.a.mac), src=f.ZERO_6), _RS),
            _row("echo", lambda c: f.icmp6(c, 128, src=f.ZERO_6), "L29/echo6", _FOREIGN),
            _row("udp", lambda c: f.udp6(c, src=f.ZERO_6), "L29/udp6", _FOREIGN),
        ),
    ),
    Attack(
        id="nd-hoplimit-and-code",
        title="Neighbour discovery from off the link, or of another code",
        group="D",
        guard=Guard.ND,
        published=("RFC 4861",),
        variants=(
            *_hops("na", lambda c, hop: f.own_na(c, c.v.ip6, hop=hop), _NA),
            *_hops(
                "ns", lambda c, hop: f.ns(c, c.p.ip6, f.slla(c.a.mac), src=c.v.ip6, hop=hop), _NS
            ),
            *_hops("ra", lambda c, hop: f.ra(c, hop=hop), _RS),
            *_hops("na-own", lambda c, hop: f.own_na(c, c.a.ip6, hop=hop), _NA),
            _row("na-code-1", lambda c: f.own_na(c, c.v.ip6, code=1), _NA),
            _row(
                "ns-code-1",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), src=c.v.ip6, code=1),
                _NS,
            ),
            _row("na-own-code-1", lambda c: f.own_na(c, c.a.ip6, code=1), _NA),
        ),
    ),
    Attack(
        id="nd-option-length",
        title="Options whose lengths lie",
        group="D",
        guard=Guard.ND,
        variants=(
            _na_option("na-length-0", lambda c: b"\x02\x00" + c.a.mac.octets),
            _na_option("na-length-255", lambda c: b"\x02\xff" + c.a.mac.octets),
            _na_option("na-length-2", lambda c: b"\x02\x02" + c.a.mac.octets + bytes(8)),
            _na_option("na-past-the-end", lambda c: b"\x02\x02" + c.a.mac.octets),
            _na_option("na-half-an-option", lambda _c: b"\x02"),
            _ns_option("ns-length-0", lambda c: b"\x01\x00" + c.a.mac.octets),
            _ns_option("ns-length-255", lambda c: b"\x01\xff" + c.a.mac.octets),
            _ns_option("ns-length-2", lambda c: b"\x01\x02" + c.a.mac.octets + bytes(8)),
            _row(
                "na-without-target",
                lambda c: f.icmp6(c, 136, bytes(4), dst=f.ALL_NODES, hop=255),
                _NA,
                _MAC,
            ),
        ),
    ),
    Attack(
        id="nd-fragmented",
        title="Neighbour discovery in fragments",
        group="D",
        guard=Guard.ND,
        published=("RFC 6980", "RFC 7113"),
        variants=(
            _row("atomic", lambda c: f.own_na(c, c.v.ip6, chain=(f.atomic,)), _NA, _MAC),
            _row(
                "atomic-own",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.a.mac), chain=(f.atomic,)),
                _NS,
                _MAC,
            ),
            _row("first-of-8-bytes", _first_eight, "L11/solicited", _MAC),
            _row("first-of-two", _first_of_two, "L11/solicited", _MAC),
        ),
    ),
    Attack(
        id="nd-redirect",
        title="ICMP redirects, both families",
        group="D",
        guard=Guard.ND,
        published=("RFC 4861 8",),
        variants=(
            _row(
                "own-link-local",
                lambda c: f.redirect(c, c.a.ll, f.tlla(c.a.mac)),
                "L13/unicast-link-local",
                _RA,
            ),
            _row(
                "gateways-link-local",
                lambda c: f.redirect(c, c.a.ll, f.tlla(c.a.mac), src=c.g.ll),
                "L13/unicast-link-local",
            ),
            *(
                Variant(
                    name=name,
                    frame=partial(_redirected, options),
                    expect=_MAC,
                    twin="L27/redirect-to-a-neighbour",
                    actor=Actor.ROLES,
                )
                for name, options in (
                    ("router-with-anothers-source-option", _anothers_source),
                    ("router-with-a-group", _a_group),
                    ("router-with-zero", _zero),
                )
            ),
            _row(
                "v4-own",
                lambda c: f.icmp4(c, 5, 1, c.a.ip4.packed + bytes(28), dst=c.v.ip4),
                "L24/v4-too-big",
                _RA,
            ),
            _row(
                "v4-gateway",
                lambda c: f.icmp4(c, 5, 1, c.a.ip4.packed + bytes(28), src=c.g.ip4, dst=c.v.ip4),
                "L24/v4-too-big",
                _PUBLIC,
            ),
        ),
    ),
    Attack(
        id="nd-ll-not-pinned",
        title="Another's link-local address",
        group="D",
        guard=Guard.ND,
        variants=(
            _row("dhcp6", lambda c: f.dhcp6_client(c, src=c.v.ll), "L08/solicit", _FOREIGN),
            _row("rs", lambda c: f.rs(c, f.slla(c.a.mac), src=c.v.ll), _RS),
            _row("udp", lambda c: f.udp6(c, src=c.v.ll), "L29/udp6", _FOREIGN),
            _row(
                "not-eui64",
                lambda c: f.udp6(c, src=IPv6Address("fe80::7666:1")),
                "L29/udp6",
                _FOREIGN,
            ),
        ),
    ),
)
