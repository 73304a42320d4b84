"""Fragments in any order, and none that reaches into what was judged."""

from dataclasses import replace
from itertools import permutations

import pytest
from tests.semantics.guarded import FROM, GUARDED, ISN, TO, Family, Port, rule, segment
from tests.semantics.world import MAC_A, MAC_V

from vifguard.model.verdict import Reason
from vifguard.packet import build

NOT_ALLOWED, UNKNOWN = Reason.NOT_ALLOWED, Reason.FRAGMENT_UNKNOWN
OVERLAP = Reason.FRAGMENT_OVERLAP
DATAGRAM = build.udp(4000, 53, bytes(4000))
ANSWER = build.udp(53, 4000, bytes(4000))
AT_ONCE = 50


def pieces(family: Family, payload, direction=FROM, **fields) -> list[bytes]:
    ends, macs = (family.guest, family.other), (MAC_A, MAC_V)
    if direction is TO:
        ends, macs = ends[::-1], macs[::-1]
    return [build.ethernet(*macs, each) for each in build.fragments(*ends, payload, **fields)]


def play(port: Port, data: bytes, direction=FROM):
    return port.frame(direction, data)


@pytest.fixture
def nobody(port: Port) -> Port:
    """A port whose rules are about a third machine alone."""
    bits = 32 if port.family.version == 4 else 128
    third = f"{port.family.third}/{bits}"
    port.allow(rule(FROM, port.family, remote=third), rule(TO, port.family, remote=third))
    return port


class TestOrder:
    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_any_order_passes_where_the_first_does(self, client, order):
        sent = pieces(client.family, DATAGRAM)
        assert [play(client, sent[number]) for number in order] == [None] * 3

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_the_answer_s_too(self, client, order):
        client.out(build.udp(4000, 53))
        sent = pieces(client.family, ANSWER, TO)
        assert [play(client, sent[number], TO) for number in order] == [None] * 3

    def test_what_no_rule_is_about_waits_for_its_first(self, nobody):
        first, *later = pieces(nobody.family, DATAGRAM)
        assert all(play(nobody, each) is UNKNOWN for each in later)
        assert play(nobody, first) is NOT_ALLOWED
        assert all(play(nobody, each) is UNKNOWN for each in later)

    def test_a_rule_about_the_remote_is_enough(self, server):
        """Without a first one that the rules allow, nothing is put together of it."""
        first, later, _ = pieces(server.family, build.udp(4000, 53, bytes(4000)), TO)
        assert play(server, later, TO) is None
        assert play(server, first, TO) is NOT_ALLOWED

    def test_behind_its_first_it_passes_as_long_as_a_receiver_waits(self, client):
        client.out(build.udp(4000, 53))
        first, later, last = pieces(client.family, ANSWER, TO)
        play(client, first, TO)
        client.allow()
        client.wait(29 if client.family.version == 4 else 59)
        assert play(client, later, TO) is None
        client.wait(1)
        assert play(client, last, TO) is UNKNOWN

    def test_another_identification_is_another_packet(self, client):
        client.out(build.udp(4000, 53))
        first, *_ = pieces(client.family, ANSWER, TO, ident=1)
        _, later, *_ = pieces(client.family, ANSWER, TO, ident=2)
        assert play(client, first, TO) is None
        client.allow()
        assert play(client, later, TO) is UNKNOWN

    def test_stateless_groups_wait_for_no_answers(self, port):
        port.policy = replace(GUARDED, stateful=False)
        port.allow(rule(FROM, port.family))
        _, later, *_ = pieces(port.family, ANSWER, TO)
        assert play(port, later, TO) is UNKNOWN

    def test_to_many_there_are_no_answers(self, client):
        many = "224.0.0.251" if client.family.version == 4 else "ff02::fb"
        _, later, *_ = build.fragments(client.family.other, many, DATAGRAM)
        assert play(client, build.ethernet(MAC_V, build.multicast_mac(many), later), TO) is UNKNOWN


class TestStrangers:
    def test_of_answers_so_many_pass_before_their_first(self, client):
        sent = [pieces(client.family, ANSWER, TO, ident=n)[1] for n in range(AT_ONCE + 10)]
        said = [play(client, each, TO) for each in sent]
        assert said == [None] * AT_ONCE + [UNKNOWN] * 10
        client.wait(0.2)
        sent = [pieces(client.family, ANSWER, TO, ident=n)[1] for n in range(100, 110)]
        assert [play(client, each, TO) for each in sent].count(None) == 5

    def test_behind_their_first_all_do(self, client):
        client.out(build.udp(4000, 53))
        for ident in range(2 * AT_ONCE):
            sent = pieces(client.family, ANSWER, TO, ident=ident)
            assert [play(client, each, TO) for each in sent] == [None] * 3

    def test_who_may_send_the_first_may_send_all(self, server):
        for ident in range(2 * AT_ONCE):
            _, later, *_ = pieces(server.family, DATAGRAM, TO, ident=ident)
            assert play(server, later, TO) is None


class TestOverlap:
    """RFC 3128, RFC 5722."""

    def test_none_of_tcp_reaches_into_its_header(self, client):
        whole = segment(4000, 80, 2, ISN, data=bytes(64))
        first, *_ = pieces(client.family, whole, size=40)
        _, small, *_ = pieces(client.family, whole, size=16)
        assert play(client, small) is OVERLAP
        assert play(client, first) is None
        assert play(client, small) is OVERLAP

    def test_none_of_ipv6_does_whatever_it_says_that_it_is(self, port):
        """It could rewrite ports and flags. In IPv4 another protocol is another packet."""
        family = port.family
        port.allow(rule(FROM, family))
        whole = segment(4000, 80, 2, ISN, data=bytes(64))
        first, *_ = pieces(family, whole, size=40)
        _, small, *_ = pieces(family, build.Layer(whole.octets, 17), size=16)
        for each in (small, small):
            assert play(port, each) is (OVERLAP if family.version == 6 else None)
            assert play(port, first) is None

    def test_a_first_may_not_cover_what_came_before_it(self, port):
        """The lowest counts."""
        family = port.family
        if family.version == 4:
            return
        port.allow(rule(FROM, family))
        inside = build.destination_options(build.destination_options(DATAGRAM))
        _, small, *_ = pieces(family, build.Layer(inside.octets, 17), size=24)
        long = build.destination_options(inside)
        first, later, *_ = pieces(family, long, size=40)
        assert [play(port, each) for each in (later, small, later)] == [None] * 3
        assert play(port, first) is OVERLAP
        port.wait(59)
        assert play(port, first) is OVERLAP
        port.wait(1)
        assert play(port, first) is None
        assert play(port, small) is OVERLAP

    def test_extension_headers_in_the_fragmented_part_are_judged_too(self, client):
        if client.family.version == 4:
            return
        inside = build.destination_options(build.destination_options(DATAGRAM))
        first, *_ = pieces(client.family, inside, size=40)
        for size, said in ((8, OVERLAP), (16, OVERLAP), (24, None)):
            _, later, *_ = pieces(client.family, build.Layer(inside.octets, 60), size=size)
            client.memory.fragments.passed.clear()
            assert play(client, first) is None
            assert play(client, later) is said
