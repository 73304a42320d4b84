"""What is recorded and noted of frames: drops, claims and uses of addresses."""

import pytest
from tests.enforce.driver_ports import hold_one
from tests.enforce.guard_frames import (
    ALL6,
    DATA,
    FROM_GUEST,
    LL_A,
    ND,
    NODES,
    TO_GUEST,
    A,
    V,
)

from vifguard.enforce.ebpf import state
from vifguard.model.address import Mac, parse_address
from vifguard.model.guard import GUARDS_OF, LinkLocal, Profile
from vifguard.model.verdict import Direction
from vifguard.packet.build import (
    destination_options,
    ethernet,
    icmpv6,
    ipv6,
    na,
    rs,
    tlla,
)

pytestmark = pytest.mark.kernel


@pytest.fixture
def private(shared_private):
    return shared_private


def test_without_link_local_addresses_what_a_guest_loses_is_counted_and_told_of_once(
    private, monkeypatch
):
    chatter = (
        ethernet(A, "33:33:00:00:00:fb", ipv6(LL_A, "ff02::fb", DATA)),
        ethernet(A, "33:33:00:00:00:02", ipv6(LL_A, "ff02::2", rs(), hop_limit=255)),
        ethernet(A, "33:33:00:00:00:01", ipv6(LL_A, "ff02::1", na(LL_A), hop_limit=255)),
    )
    render = state.render
    # As of a driver that pins, which limits its records.
    monkeypatch.setattr(state, "render", lambda *given, **_: render(*given))
    hold_one(private, link_local=LinkLocal.NONE)
    run = private._programs["from_guest"].test_run
    for frame in chatter * 20:
        assert run(frame, ifindex=1)[0] == SHOT
    assert len(private.events.drops()) == 1
    assert sum(count.frames for count in private.events.counts()) == len(chatter * 20)


@pytest.mark.parametrize("flooded", list(Direction))
def test_what_one_direction_drops_leaves_the_other_its_records(private, monkeypatch, flooded):
    """Whatever neighbours send to a guest, what it forges itself is recorded; and the reverse."""
    forged = {
        Direction.FROM_GUEST: ("from_guest", FROM_GUEST["another's mac"][0]),
        Direction.TO_GUEST: ("to_guest", TO_GUEST["tagged"][0]),
    }
    (other,) = {*Direction} - {flooded}
    render = state.render
    # As of a driver that pins, which limits its records.
    monkeypatch.setattr(state, "render", lambda *given, **_: render(*given))
    hold_one(private)

    def play(direction, times):
        name, frame = forged[direction]
        for _ in range(times):
            assert private._programs[name].test_run(frame, ifindex=1)[0] == SHOT
        return [drop.direction for drop in private.events.drops()]

    assert 100 <= len(play(flooded, 400)) < 400
    assert play(other, 50) == [other] * 50


SHOT = 2


CHOSEN = parse_address("fe80::1234:5678:9abc:1")
"""A link-local address that the guest chose; below, it has one of a prefix too."""
ELSEWHERE = parse_address("2001:db8::1234:5678:9abc:1")


@pytest.mark.parametrize("to", [Mac.parse(ALL6), A])
@pytest.mark.parametrize("wrap", [lambda piece: piece, destination_options])
def test_a_tentative_address_is_defended_to_all_and_to_the_guest_alone(private, to, wrap):
    hold_one(private, link_local=LinkLocal.LEARNED, tentative=frozenset({CHOSEN}))
    defence = wrap(na(str(CHOSEN), tlla(V)))
    private.events.claims()
    frame = ethernet(V, to, ipv6(str(CHOSEN), NODES, defence, **ND))
    assert private.test(Direction.TO_GUEST, frame) is None
    assert [claim.address for claim in private.events.claims()] == [CHOSEN]


@pytest.mark.parametrize("profile", [Profile.STRICT, Profile.ROUTER, Profile.OFF])
@pytest.mark.parametrize("message", [DATA, icmpv6(128, 0, bytes(8))])
def test_the_use_of_a_learned_address_is_noted_whatever_guards_there_are(private, profile, message):
    learned = {"link_local": LinkLocal.LEARNED, "learned": frozenset({ELSEWHERE})}
    hold_one(private, guards=GUARDS_OF[profile], **learned)
    before = private.events.uses(1)
    frame = ethernet(A, V, ipv6(str(ELSEWHERE), "2001:db8::9", message))
    assert private.test(Direction.FROM_GUEST, frame) is None
    assert private.events.uses(1)[ELSEWHERE] > before[ELSEWHERE]
