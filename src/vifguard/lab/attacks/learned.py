"""Group X: claims of IPv6 addresses that guests may not have."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address

from vifguard.lab.attacks import frames as f
from vifguard.lab.attacks.actors import Actors
from vifguard.lab.attacks.attack import PASS, Attack, Effect, Frame, Variant, drop, on
from vifguard.lab.attacks.legal import UNKNOWN_MAC
from vifguard.model.guard import Guard

_ND = on(strict=drop(Guard.ND), mac=PASS, router=drop(Guard.ND))
_MAC = on(strict=drop(Guard.MAC), mac=drop(Guard.MAC), router=drop(Guard.MAC))
_DAD, _NA, _RS = "L10/link-local", "L11/unsolicited", "L09/link-local"
_CHOSEN = IPv6Address("fe80::7666:0:0:1")
_STORE, _LEARN = "tests/store/test_learned.py", "tests/agent/test_address_detection.py"


def _row(name: str, frame: Frame, twin: str, *, by_mac: bool = False) -> Variant:
    expect = _MAC if by_mac else _ND
    return Variant(name=name, frame=frame, expect=expect, twin=twin, effect=Effect.DELIVERY)


def _dad(address: IPv6Address) -> Callable[[Actors], bytes]:
    return lambda c: f.ns(c, address, src=f.ZERO_6)


ROWS: tuple[Attack, ...] = (
    Attack(
        id="x-claim-reserved",
        title="A claim of an address that no guest chooses: a gateway's, an anycast, a MAC's",
        group="X",
        guard=Guard.ND,
        variants=(
            _row("gateway-by-hand", _dad(IPv6Address("fe80::1")), _DAD),
            _row("highest-by-hand", _dad(IPv6Address("fe80::ffff:ffff:ffff")), _DAD),
            _row("router-anycast", _dad(IPv6Address("fe80::")), _DAD),
            _row("reserved-anycast", _dad(IPv6Address("fe80::fdff:ffff:ffff:fffe")), _DAD),
            _row("of-a-mac", _dad(UNKNOWN_MAC.link_local), _DAD),
            _row("beyond-the-prefix", _dad(IPv6Address("fe80:0:0:1:7666::1")), _DAD),
            _row(
                "advertised",
                lambda c: f.own_na(c, IPv6Address("fe80::1"), src=c.a.ll),
                _NA,
            ),
            _row("used", lambda c: f.rs(c, f.slla(c.a.mac), src=IPv6Address("fe80::1")), _RS),
        ),
        note="Gateways are known by their hosts' hands, and by no model.",
    ),
    Attack(
        id="x-claim-shape",
        title="A claim that is no duplicate address detection",
        group="X",
        guard=Guard.ND,
        published=("RFC 4862 5.4.3",),
        variants=(
            _row("with-mac", lambda c: f.ns(c, _CHOSEN, f.slla(c.a.mac), src=f.ZERO_6), _DAD),
            _row("to-one", lambda c: f.ns(c, _CHOSEN, src=f.ZERO_6, dst=c.p.ip6), _DAD),
            _row("to-all", lambda c: f.ns(c, _CHOSEN, src=f.ZERO_6, dst=f.ALL_NODES), _DAD),
            _row("hop-limit-254", lambda c: f.ns(c, _CHOSEN, src=f.ZERO_6, hop=254), _DAD),
            _row("code-1", lambda c: f.ns(c, _CHOSEN, src=f.ZERO_6, code=1), _DAD),
            _row(
                "fragment",
                lambda c: f.ns(c, _CHOSEN, src=f.ZERO_6, chain=(f.atomic,)),
                _DAD,
                by_mac=True,
            ),
            _row(
                "anothers-mac",
                lambda c: f.ns(c, c.p.ip6, f.slla(c.v.mac), src=_CHOSEN),
                "L13/multicast",
                by_mac=True,
            ),
        ),
    ),
    Attack(
        id="x-claim-taken",
        title="A claim of what another port has: fixed, listed, an IP group's, or learned",
        group="X",
        published=("RFC 3756 4.1.3",),
        proved_by=(
            f"{_STORE}::test_first_come_first_served",
            f"{_STORE}::test_two_claims_in_one_report",
            f"{_STORE}::test_what_the_model_gave_to_another_is_taken",
        ),
        note="Scenario `s9` plays it: two guests want one address, one has it, and it passes.",
    ),
    Attack(
        id="x-claim-gateway",
        title="A claim of the gateway's address, of the host's, or of a station's on the uplink",
        group="X",
        published=("RFC 3756 4.1.3",),
        proved_by=(
            f"{_STORE}::test_a_gateway_is_taken",
            f"{_STORE}::test_a_defended_address_is_not_the_ports",
            f"{_LEARN}::test_who_defends_a_tentative_address_is_told_of",
        ),
        note="Scenario `s9` plays it. Whom no model knows defends the address by itself, while "
        "it is up: list addresses of stations beyond the uplink on a port of their own.",
    ),
    Attack(
        id="x-claim-cap",
        title="More claims than a port has room for",
        group="X",
        proved_by=(
            f"{_STORE}::test_one_link_local_address_for_each_mac",
            f"{_STORE}::test_the_longest_unused_of_its_kind_makes_room",
            f"{_LEARN}::test_what_was_used_lately_makes_no_room",
        ),
    ),
    Attack(
        id="x-claim-storm",
        title="A storm of claims, each of another address",
        group="X",
        proved_by=(
            f"{_LEARN}::test_a_storm_of_claims_is_passed_on_at_a_low_rate",
            f"{_LEARN}::test_a_claim_that_was_refused_is_not_asked_again",
        ),
    ),
)
