"""What does not fit in a port's entry: how it gets into other maps, and out of them."""

import pytest
from tests.enforce.driver_ports import passes, port
from tests.enforce.guarded_port import hold

from vifguard.enforce.driver.protocol import ApplyError
from vifguard.model.address import parse_network
from vifguard.model.guard import GUARDS_OF, Profile

pytestmark = pytest.mark.kernel


class TestWhatDoesNotFitInAnEntry:
    def test_a_thousand_addresses(self, private):
        many = [f"10.8.{i >> 8}.{i & 255}" for i in range(1000)]
        hold(private, port(1, *many))
        assert passes(private, 1, "10.8.3.231")
        hold(private, port(1, *many[:500]))
        assert passes(private, 1, "10.8.1.243")
        assert not passes(private, 1, "10.8.3.231")
        assert len(list(private._maps["addresses"].contents())) == 498

    def test_a_new_revision_writes_nothing_beside(self, private):
        many = [f"10.8.0.{i}" for i in range(100)]
        hold(private, port(1, *many))
        before = dict(private._maps["addresses"].contents())
        hold(private, port(1, *many, revision=2))
        assert dict(private._maps["addresses"].contents()) == before

    def test_a_full_map_keeps_the_old_policy_and_stops_nobody_else(self, private):
        hold(private, port(1), port(2), port(3))
        room = private._maps["ethertypes"].spec.max_entries
        types = frozenset(range(0x0600, 0x0600 + room))
        wanted = private.render(
            [
                port(1, "10.9.0.11", ethertypes=types, revision=2),
                port(2, "10.9.0.12", ethertypes=frozenset({0x88B5}), revision=2),
                port(3, "10.9.0.13", revision=2),
            ]
        )
        with pytest.raises(ApplyError) as failed:
            private.apply(private.diff(wanted, private.observe(None)))
        (lost,) = {error.device for error in failed.value.exceptions}
        assert lost in (1, 2)
        assert private.enforced(wanted, private.observe(None)) == {1, 2, 3} - {lost}
        assert passes(private, lost, f"10.9.0.{lost}")
        assert passes(private, 3, "10.9.0.13")
        fresh = private.render([port(4, ethertypes=types)])
        with pytest.raises(ApplyError):
            private.apply(private.diff(fresh, private.observe(frozenset({4}))))
        assert not passes(private, 4, "10.9.0.4")

    def test_a_public_set_is_shared_and_goes_with_its_last_port(self, private):
        router = {"guards": GUARDS_OF[Profile.ROUTER]}
        old = router | {"public": frozenset({parse_network("203.0.113.0/24")})}
        new = router | {"public": frozenset({parse_network("198.51.100.0/24")})}
        sets = private._maps["prefix_sets"]
        hold(private, port(1, **old), port(2, **old))
        assert len(list(sets.contents())) == 1
        for scope, number in ((frozenset({1}), 1), (frozenset({2}), 2)):
            wanted = private.render([port(number, **new)])
            private.apply(private.diff(wanted, private.observe(scope)))
        assert len(list(sets.contents())) == 1
        assert passes(private, 1, "203.0.113.9")
        assert not passes(private, 2, "198.51.100.9")
        hold(private, port(1), port(2))
        assert not list(sets.contents())

    def test_a_public_set_may_lose_its_last_port_and_find_another_in_one_step(self, private):
        router = {"guards": GUARDS_OF[Profile.ROUTER]}
        public = router | {"public": frozenset({parse_network("203.0.113.0/24")})}
        hold(private, port(1, **public), port(2, **router))
        hold(private, port(1, **router), port(2, **public))
        assert passes(private, 1, "203.0.113.9")
        assert not passes(private, 2, "203.0.113.9")

    def test_a_torn_public_set_is_not_used_again(self, private):
        public = frozenset(map(parse_network, ("203.0.113.0/24", "198.51.100.0/24")))
        router = {"guards": GUARDS_OF[Profile.ROUTER], "public": public}
        hold(private, port(1, **router))
        sets = private._maps["prefix_sets"]
        key, _ = next(iter(sets.contents()))
        sets.delete(key)
        for scope in (frozenset({1}), frozenset({2})):
            (number,) = scope
            wanted = private.render([port(number, **router)])
            private.apply(private.diff(wanted, private.observe(scope)))
        for number in (1, 2):
            assert not passes(private, number, "203.0.113.9")
            assert not passes(private, number, "198.51.100.9")
