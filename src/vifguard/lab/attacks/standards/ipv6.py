"""IPv6 and its extension headers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.attack import Attack, Frame
from vifguard.lab.attacks.standards.row import MAC, ND, TCP6, TYPE, UDP6, attack, pair6, row
from vifguard.model.guard import Guard
from vifguard.packet import build

# IPv6


def _chained(*chain: f.Around) -> Callable[..., bytes]:
    return partial(f.udp6, chain=chain)


def _hidden_na(*chain: f.Around) -> Frame:
    """Another's address in an advertisement behind these headers."""
    return lambda c: f.own_na(c, c.v.ip6, chain=chain)


_OLD = {"mobility": 135, "hip": 139, "shim6": 140}

ROWS: tuple[Attack, ...] = (
    attack(
        "x-ip6-versions",
        "Each version that is not 6",
        "8200",
        Guard.ETHERTYPE,
        *(
            row(
                f"{version}",
                lambda c, version=version: f.udp6(c, version=version),  # type: ignore[misc]
                TYPE,
                UDP6,
            )
            for version in (0, 4, 5, 7, 15)
        ),
    ),
    attack(
        "x-ip6-payload-length-at-its-ends",
        "Payload lengths one above what is there, and the largest",
        "8200",
        Guard.ETHERTYPE,
        row("one-more", lambda c: f.udp6(c, length=len(f.udp6(c)) - 53), TYPE, UDP6),
        row("65535", lambda c: f.udp6(c, length=65535), TYPE, UDP6),
    ),
    attack(
        "x-ip6-payload-length-cuts-the-header-above",
        "Payload lengths that end inside the header of the upper layer",
        "8200",
        Guard.MAC,
        *(
            row(f"udp-{n}", lambda c, n=n: f.udp6(c, length=n), MAC, UDP6)  # type: ignore[misc]
            for n in (1, 7)
        ),
        *(
            row(f"tcp-{n}", lambda c, n=n: f.tcp6(c, length=n), MAC, TCP6)  # type: ignore[misc]
            for n in (1, 13, 19)
        ),
        *(
            row(
                f"icmp-{n}",
                lambda c, n=n: f.icmp6(c, 128, length=n),  # type: ignore[misc]
                MAC,
                "L29/echo6",
            )
            for n in (1, 3)
        ),
    ),
    attack(
        "x-ip6-jumbogram",
        "A jumbo payload option with a payload length of zero",
        "2675",
        Guard.ETHERTYPE,
        row(
            "hop-by-hop",
            lambda c: f.udp6(
                c,
                length=0,
                chain=(partial(build.hop_by_hop, options=b"\xc2\x04\0\x01\0\0"),),
            ),
            TYPE,
            UDP6,
        ),
    ),
    attack(
        "x-ip6-extension-lengths",
        "Extension headers one unit longer than the packet, and of the largest length",
        "8200, 4302",
        Guard.MAC,
        *(
            row(
                f"{name}-{length}",
                _chained(partial(around, length=length)),
                MAC,
                UDP6,
            )
            for name, around in (
                ("hop-by-hop", build.hop_by_hop),
                ("destination", build.destination_options),
                ("authentication", build.authentication),
            )
            for length in (40, 255)
        ),
    ),
    attack(
        "x-ip6-hop-by-hop-not-first",
        "Hop-by-hop options in second place",
        "8200",
        Guard.MAC,
        row(
            "behind-destination",
            _chained(build.destination_options, build.hop_by_hop),
            MAC,
            UDP6,
        ),
        row("twice", _chained(build.hop_by_hop, build.hop_by_hop), MAC, UDP6),
    ),
    attack(
        "x-ip6-fragment-in-a-fragment",
        "Two fragment headers",
        "8200, 7112",
        Guard.MAC,
        row("atomic-atomic", _chained(f.atomic, f.atomic), MAC, UDP6),
        row(
            "with-options-between",
            _chained(f.atomic, build.destination_options, f.atomic),
            MAC,
            UDP6,
        ),
    ),
    attack(
        "x-ip6-later-fragment-of-a-header",
        "A later fragment of a packet whose fragmented part begins with an extension header",
        "8200",
        Guard.IP,
        *pair6(
            "destination",
            _chained(partial(build.fragment, offset=1), build.destination_options),
            "L23/v6-last",
        ),
        *pair6(
            "routing",
            _chained(partial(build.fragment, offset=185), build.routing),
            "L23/v6-last",
        ),
    ),
    attack(
        "x-ip6-eight-headers",
        "As many extension headers as are followed, and one more",
        "8200, 7112",
        Guard.ND,
        *pair6("eight", _chained(*(build.destination_options,) * 8)),
        row(
            "advertisement-behind-eight",
            _hidden_na(*(build.destination_options,) * 8),
            ND,
            "L11/unsolicited",
        ),
        row("nine", _chained(*(build.destination_options,) * 9), MAC, UDP6),
    ),
    attack(
        "x-ip6-advertisement-behind-rare-headers",
        "Neighbour discovery behind the headers that filters forget",
        "6275, 7401, 5533, 4302",
        Guard.ND,
        *(
            row(name, _hidden_na(partial(build.extension, kind)), ND, "L11/unsolicited")
            for name, kind in _OLD.items()
        ),
        row("authentication", _hidden_na(build.authentication), ND, "L11/unsolicited"),
        row("atomic-fragment", _hidden_na(f.atomic), MAC, "L11/unsolicited"),
    ),
    attack(
        "x-ip6-rare-headers-of-ones-own",
        "The same headers before a datagram: passed from one's own address only",
        "6275, 7401, 5533, 4302",
        Guard.IP,
        *(
            variant
            for name, kind in _OLD.items()
            for variant in pair6(name, _chained(partial(build.extension, kind)))
        ),
        *pair6("authentication", _chained(build.authentication)),
    ),
    attack(
        "x-ip6-nothing-follows",
        "Next header 59 with octets behind it, and ESP, whose inside nobody reads",
        "8200, 4303",
        Guard.IP,
        *pair6("none", partial(f.ip6, payload=f.DATA, next_header=59)),
        *pair6("esp", partial(f.ip6, payload=f.DATA, next_header=50)),
    ),
)
