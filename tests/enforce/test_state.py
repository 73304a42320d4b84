"""Policies become bytes, and bytes are compared: nothing here touches a kernel."""

import pytest
from tests.enforce.guarded_port import mac_of, policy_of, uuid_of

from vifguard.enforce.driver.protocol import Attachment
from vifguard.enforce.ebpf.maps.digests import Digests
from vifguard.enforce.ebpf.maps.rules import GROUPS_A_PORT
from vifguard.enforce.ebpf.state import (
    NO_MAP_KEYS,
    NO_OVERFLOW,
    Flag,
    MapKeys,
    PolicyOverflow,
    PortImage,
    keys_of,
    pack_address,
    render,
    with_keys,
)
from vifguard.model.address import Mac, parse_address, parse_network
from vifguard.model.guard import GUARDS_OF, Guard, Profile
from vifguard.model.policy import Storm

HOOKS = ("from_guest", "to_guest")
DIGESTS = Digests(b"key")


def state_of(number=1, *prefixes, revision=1, ifindex=5, **more) -> PortImage:
    policy = policy_of(number, *prefixes, **more)
    return render(
        Attachment(policy, ifindex, reversed_hooks=False, revision=revision), HOOKS, DIGESTS
    )


def flags_of(state):
    return Flag(int.from_bytes(state.entry[4:6], "little"))


def test_an_ordinary_port_is_one_entry():
    state = state_of()
    assert state.overflow is NO_OVERFLOW
    assert flags_of(state) == Flag.FAST | Flag.HAS_MAC | Flag.LINK_LOCAL_EUI64
    assert state.entry[8:24] == mac_of(1).octets + b"\x08\x00" + mac_of(1).octets + b"\x86\xdd"
    assert state.entry[24:28] == parse_address("10.9.0.1").packed
    assert state.entry[32:48] == parse_address("fd00:9::1").packed


def test_the_same_policy_is_the_same_bytes():
    assert state_of() == state_of()
    assert state_of(revision=2) != state_of()
    assert state_of(revision=2).revision == 2


def test_what_does_not_fit_goes_beside():
    addresses = [f"10.9.0.{i}" for i in range(1, 6)]
    state = state_of(1, *addresses, "10.8.0.0/24", macs=frozenset({mac_of(1), mac_of(2)}))
    assert Flag.MORE_ADDRESSES | Flag.HAS_PREFIXES | Flag.MORE_MACS in flags_of(state)
    assert state.overflow == PolicyOverflow(
        frozenset({mac_of(2).octets}),
        frozenset((pack_address(parse_address(a)), False) for a in addresses[2:]),
        frozenset({(24, pack_address(parse_address("10.8.0.0")))}),
    )


def test_watched_addresses_are_inline_last_and_always_beside():
    watched = frozenset({parse_address("10.9.0.1")})
    state = state_of(1, "10.9.0.1", "10.9.0.2", watched=watched)
    assert Flag.WATCHED | Flag.WATCHED_INLINE in flags_of(state)
    assert state.entry[24:32] == bytes((10, 9, 0, 2, 10, 9, 0, 1))
    assert state.overflow.addresses == {(pack_address(parse_address("10.9.0.1")), True)}
    state = state_of(1, "10.9.0.1", "10.9.0.2", "10.9.0.3", watched=watched)
    assert Flag.WATCHED in flags_of(state)
    assert Flag.WATCHED_INLINE not in flags_of(state)


def test_watching_an_address_does_not_give_it():
    state = state_of(watched=frozenset({parse_address("10.9.0.77")}))
    assert state.overflow is NO_OVERFLOW
    assert Flag.WATCHED not in flags_of(state)


def test_the_unspecified_address_is_never_inline():
    assert not any(state_of(1, "0.0.0.0", "::").entry[24:64])


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])
def test_an_odd_mac_is_no_fast_one(mac):
    state = state_of(macs=frozenset({Mac.parse(mac)}))
    assert not flags_of(state) & (Flag.FAST | Flag.HAS_MAC)
    assert state.overflow.macs == {Mac.parse(mac).octets}


def test_a_closed_port_keeps_nothing_to_pass_by():
    state = state_of(1, "10.0.0.0/8", closed="because")
    assert flags_of(state) == Flag.IS_CLOSED
    assert not state.overflow


def test_which_sources_need_a_look():
    public = frozenset({parse_network("203.0.113.0/24")})
    for guards, has_public, wanted in (
        (GUARDS_OF[Profile.STRICT], public, Flag(0)),
        (GUARDS_OF[Profile.ROUTER], public, Flag.NOT_PUBLIC),
        (GUARDS_OF[Profile.ROUTER], frozenset(), Flag.ANY_SOURCE),
        (frozenset({Guard.MAC}), public, Flag.ANY_SOURCE),
    ):
        state = state_of(guards=guards, public=has_public)
        assert flags_of(state) & (Flag.NOT_PUBLIC | Flag.ANY_SOURCE) == wanted
    assert not state_of(guards=frozenset({Guard.MAC}), public=public).public


def test_storms_beyond_all_measure_are_rendered():
    for storm in (Storm(0, 0), Storm(-1, 5), Storm(1, 1 << 70), Storm(10**12, 1)):
        assert len(state_of(storm=storm).entry) == 128


def test_a_port_without_a_uuid_cannot_be_held():
    policy = policy_of(1)
    object.__setattr__(policy, "port_id", "tap0")
    with pytest.raises(ValueError, match="'tap0' is not a UUID"):
        render(Attachment(policy, 1, reversed_hooks=False, revision=1), HOOKS, DIGESTS)


def test_keys_come_and_go():
    entry = with_keys(state_of().entry, MapKeys(7, 9, 11))
    assert keys_of(entry) == MapKeys(7, 9, 11)
    assert with_keys(entry, NO_MAP_KEYS) == state_of().entry
    assert keys_of(None) == NO_MAP_KEYS


def test_ids_are_told_apart():
    assert uuid_of(1) != uuid_of(2)


def test_a_port_of_too_many_security_groups_is_refused_and_not_cut_short():
    guards = GUARDS_OF[Profile.STRICT] | {Guard.SECURITY_GROUPS}
    many = frozenset(str(i) for i in range(GROUPS_A_PORT + 1))
    with pytest.raises(ValueError, match="the port has 17 security groups; the most are 16"):
        state_of(guards=guards, security_groups=many)
    assert state_of(guards=guards, security_groups=frozenset(sorted(many)[1:])).overflow.groups


def test_a_port_with_the_guard_and_no_group_is_told_from_one_without_the_guard():
    guards = GUARDS_OF[Profile.STRICT]
    assert (
        state_of(guards=guards | {Guard.SECURITY_GROUPS}).overflow
        != state_of(guards=guards).overflow
    )


def test_router_ids_of_others_are_bits_where_the_guard_is_on():
    ids = {"foreign_vrids4": frozenset({1, 64}), "foreign_vrids6": frozenset({255})}
    vrids = state_of(guards=GUARDS_OF[Profile.STRICT], **ids).overflow.vrids
    assert [n for n in range(512) if vrids[n // 8] >> n % 8 & 1] == [1, 64, 256 + 255]
    assert not state_of(guards=GUARDS_OF[Profile.MAC], **ids).overflow
    assert not state_of(guards=GUARDS_OF[Profile.STRICT]).overflow.vrids
