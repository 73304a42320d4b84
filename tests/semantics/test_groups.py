"""Security groups: rules, connections, errors about them, fragments."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from tests.semantics.guarded import (
    FAMILIES,
    FROM,
    GUARDED,
    ISN,
    PEER,
    TO,
    Family,
    connect,
    rule,
    segment,
)
from tests.semantics.world import LL_A, LL_G, MAC_A, MAC_G, MAC_V

from vifguard.model.guard import Guard, with_implied
from vifguard.model.security_group import IcmpType, PortRange, Rule
from vifguard.model.verdict import Reason
from vifguard.packet import build
from vifguard.semantics.tcp import ACK, FIN, RST, SYN

NOT_ALLOWED, INVALID = Reason.NOT_ALLOWED, Reason.FLOW_INVALID
UNRELATED = Reason.ICMP_UNRELATED
ASK, ANSWER = build.udp(4000, 53), build.udp(53, 4000)


class TestRules:
    def test_nothing_is_allowed_where_no_rule_says_so(self, port):
        assert port.out(ASK) is NOT_ALLOWED
        assert port.back(ASK) is NOT_ALLOWED
        port.policy = replace(port.policy, security_groups=frozenset())
        port.allow(rule(FROM, port.family))
        assert port.out(ASK) is NOT_ALLOWED

    def test_a_group_that_nobody_knows_allows_nothing(self, client):
        client.policy = replace(client.policy, security_groups=frozenset({"unknown"}))
        assert client.out(ASK) is NOT_ALLOWED

    def test_a_rule_is_of_one_direction_and_one_family(self, client):
        assert client.out(ASK) is None
        assert client.back(build.udp(9, 9)) is NOT_ALLOWED
        (other,) = (family for family in FAMILIES if family != client.family)
        client.family = other
        assert client.out(ASK) is NOT_ALLOWED

    def test_ports_are_those_that_the_packet_is_addressed_to(self, port):
        port.allow(rule(TO, port.family, 17, ports=PortRange(0, 53)))
        assert port.back(build.udp(9, 0)) is None
        assert port.back(build.udp(9, 53)) is None
        assert port.back(build.udp(53, 54)) is NOT_ALLOWED

    def test_protocol_zero_is_a_protocol(self, port):
        port.allow(rule(FROM, port.family, 0 if port.family.version == 4 else 253))
        number = {"protocol": 0} if port.family.version == 4 else {"next_header": 253}
        assert port.out(b"data", **number) is None
        assert port.out(ASK) is NOT_ALLOWED

    def test_a_remote_is_a_prefix_or_a_set(self, port):
        family = port.family
        bits = 32 if family.version == 4 else 128
        port.allow(rule(TO, family, remote=f"{family.other}/{bits}"))
        assert port.back(ASK) is None
        assert port.back(ASK, src=family.third) is NOT_ALLOWED
        port.allow(rule(TO, family, remote="members"), sets={"members": [f"{family.third}/{bits}"]})
        assert port.back(ASK, src=family.third) is None
        assert port.back(ASK) is NOT_ALLOWED

    def test_an_empty_set_is_nobody(self, port):
        port.allow(rule(TO, port.family, remote="members"), sets={"members": []})
        assert port.back(ASK) is NOT_ALLOWED

    @pytest.mark.parametrize("code", [None, 0])
    def test_icmp_by_type_and_code(self, port, code):
        kind = 8 if port.family.version == 4 else 128
        port.allow(rule(TO, port.family, port.family.icmp_protocol, icmp=IcmpType(kind, code)))
        assert port.back(port.family.icmp(8, 128)) is None
        assert (port.back(port.family.icmp(8, 128, b"next", 1)) is None) == (code is None)
        assert port.back(port.family.icmp(9, 140)) is NOT_ALLOWED

    def test_several_groups_allow_what_one_of_them_does(self, client):
        client.policy = replace(client.policy, security_groups=frozenset({"web", "empty"}))
        assert client.out(ASK) is None

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"version": 5}, "version 5"),
            ({"protocol": 256}, "256"),
            ({"protocol": 47, "ports": PortRange(1, 2)}, "no ports"),
            ({"protocol": 58, "icmp": IcmpType(8)}, "no ICMP types"),
        ],
    )
    def test_a_rule_that_means_nothing_cannot_be_made(self, fields, said):
        with pytest.raises(ValueError, match=said):
            Rule(**{"direction": FROM, "version": 4, **fields})

    @pytest.mark.parametrize(("low", "high"), [(2, 1), (-1, 1), (0, 65536)])
    def test_a_range_that_is_none_cannot_be_made(self, low, high):
        with pytest.raises(ValueError, match=f"{low} to {high}"):
            PortRange(low, high)


class TestIdentityComesFirst:
    def test_no_connection_excuses_a_forged_source(self, client):
        assert client.out(ASK) is None
        stolen = client.family.packet(client.family.third, client.family.other, ASK)
        said = client.frame(FROM, build.ethernet(MAC_A, MAC_V, stolen))
        assert said in (Reason.IPV4_SOURCE, Reason.IPV6_SOURCE)

    def test_what_another_guard_drops_is_not_remembered(self, client):
        stolen = client.family.packet(client.family.third, client.family.other, ASK)
        client.frame(FROM, build.ethernet(MAC_A, MAC_V, stolen))
        assert not client.memory.flows

    def test_groups_bring_along_what_they_would_be_hollow_without(self):
        assert with_implied({Guard.SECURITY_GROUPS}) >= {Guard.ETHERTYPE, Guard.MAC}


class TestAlwaysAllowed:
    def test_what_is_no_ip(self, port):
        assert port.frame(FROM, build.ethernet(MAC_A, MAC_V, build.arp(MAC_A, "10.0.0.10"))) is None

    def test_neighbours_and_listeners(self, port):
        asked = build.ipv6(LL_G, "fd00::a", build.ns("fd00::a", build.slla(MAC_G)), hop_limit=255)
        assert port.frame(TO, build.ethernet(MAC_G, MAC_A, asked)) is None
        answer = build.ipv6("fd00::a", LL_G, build.na("fd00::a", build.tlla(MAC_A)), hop_limit=255)
        assert port.frame(FROM, build.ethernet(MAC_A, MAC_G, answer)) is None
        alert = build.hop_by_hop(build.mldv2_report("ff02::5"), build.router_alert6())
        report = build.ipv6(LL_A, "ff02::16", alert, hop_limit=1)
        assert port.frame(FROM, build.ethernet(MAC_A, "33:33:00:00:00:16", report)) is None

    @pytest.mark.parametrize("kind", [0x11, 0x12, 0x16, 0x17, 0x22])
    @pytest.mark.parametrize("options", [b"", build.router_alert4()])
    def test_members_of_groups(self, port, kind, options):
        """A querier asks, also one that snoops and has no address (RFC 4541); the guest answers."""
        message = build.igmp(kind, "239.1.2.3")
        for src in ("10.0.0.1", "0.0.0.0"):
            asked = build.ipv4(src, "224.0.0.1", message, ttl=1, options=options)
            assert port.frame(TO, build.ethernet(MAC_G, "01:00:5e:00:00:01", asked)) is None
        if kind != 0x11:
            told = build.ipv4("10.0.0.10", "224.0.0.22", message, ttl=1, options=options)
            assert port.frame(FROM, build.ethernet(MAC_A, "01:00:5e:00:00:16", told)) is None

    @pytest.mark.parametrize(
        ("kind", "dst", "ttl", "length"),
        [
            (0x13, "224.0.0.1", 1, 8),
            (0x11, "224.0.0.1", 2, 8),
            (0x11, "10.0.0.10", 1, 8),
            (0x11, "224.0.0.1", 1, 7),
        ],
    )
    def test_what_only_looks_like_it_asks_the_rules(self, port, kind, dst, ttl, length):
        message = build.Layer(build.igmp(kind, "239.1.2.3").octets[:length], 2)
        frame = build.ethernet(MAC_G, MAC_A, build.ipv4("10.0.0.1", dst, message, ttl=ttl))
        assert port.frame(TO, frame) is NOT_ALLOWED

    def test_a_redirect_asks_the_rules(self, port):
        moved = build.ipv6(LL_G, "fd00::a", build.redirect("fd00::b", "fd00::b"), hop_limit=255)
        assert port.frame(TO, build.ethernet(MAC_G, MAC_A, moved)) is NOT_ALLOWED

    def test_a_dhcp_client(self, port):
        ask = build.udp(68, 67, build.dhcpv4(MAC_A))
        packet = build.ipv4("0.0.0.0", "255.255.255.255", ask)
        assert port.frame(FROM, build.ethernet(MAC_A, "ff:ff:ff:ff:ff:ff", packet)) is None
        offer = build.ipv4("10.0.0.1", "10.0.0.10", build.udp(67, 68, bytes(240)))
        assert port.frame(TO, build.ethernet(MAC_G, MAC_A, offer)) is None
        other = build.ipv4("10.0.0.1", "10.0.0.10", build.udp(67, 69, bytes(240)))
        assert port.frame(TO, build.ethernet(MAC_G, MAC_A, other)) is NOT_ALLOWED


class TestUdp:
    def test_an_answer_passes_and_only_from_who_was_asked(self, client):
        assert client.back(ANSWER) is NOT_ALLOWED
        assert client.out(ASK) is None
        assert client.back(ANSWER) is None
        assert client.back(ANSWER, src=client.family.third) is NOT_ALLOWED
        assert client.back(build.udp(53, 4001)) is NOT_ALLOWED
        assert client.back(build.udp(54, 4000)) is NOT_ALLOWED

    def test_unanswered_it_ends_after_30_seconds_and_answered_after_180(self, client):
        client.out(ASK)
        client.wait(30)
        assert client.back(ANSWER) is NOT_ALLOWED
        client.out(ASK)
        client.wait(29)
        assert client.back(ANSWER) is None
        client.wait(179)
        assert client.back(ANSWER) is None
        client.wait(180)
        assert client.back(ANSWER) is NOT_ALLOWED

    def test_to_many_nothing_is_remembered(self, client):
        to = "224.0.0.251" if client.family.version == 4 else "ff02::fb"
        assert client.out(build.udp(5353, 5353), to) is None
        assert not client.memory.flows


class TestTcp:
    def test_a_client_connects_talks_and_ends(self, client):
        connect(client)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1, b"hello" * 10)) is None
        assert client.out(segment(4000, 80, FIN | ACK, ISN + 1, (PEER + 51) % 2**32)) is None
        assert client.back(segment(80, 4000, ACK, (PEER + 51) % 2**32, ISN + 2)) is None
        assert client.back(segment(80, 4000, FIN | ACK, (PEER + 51) % 2**32, ISN + 2)) is None
        assert client.out(segment(4000, 80, ACK, ISN + 2, (PEER + 52) % 2**32)) is None
        client.wait(120)
        assert client.back(segment(80, 4000, FIN | ACK, (PEER + 51) % 2**32, ISN + 2)) is INVALID

    def test_a_server_is_asked_and_answers(self, server):
        assert server.back(segment(4000, 80, SYN, ISN)) is None
        assert server.out(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
        assert server.back(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None
        assert server.out(segment(80, 4000, ACK, PEER + 1, ISN + 1, b"page")) is None
        assert server.out(segment(4000, 81, SYN, ISN)) is NOT_ALLOWED

    @pytest.mark.parametrize("flags", [SYN | ACK, RST, RST | ACK, FIN | ACK, 0, FIN, SYN | FIN])
    def test_what_opens_nothing_is_invalid_whatever_the_rules(self, port, flags):
        port.allow(rule(FROM, port.family), rule(TO, port.family))
        assert port.back(segment(80, 4000, flags, PEER, ISN)) is INVALID

    def test_an_open_connection_survives_the_loss_of_the_table(self, client):
        connect(client)
        client.memory.flows.clear()
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        client.wait(3600)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None

    def test_a_syn_ack_must_answer_the_syn(self, client):
        client.out(segment(4000, 80, SYN, ISN))
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 2)) is INVALID
        assert client.out(segment(4000, 80, SYN | ACK, ISN, 0)) is INVALID
        assert client.out(segment(4000, 80, ACK, ISN + 1, 0)) is INVALID
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None

    def test_a_retransmitted_syn(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        client.wait(59)
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        client.wait(59)
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None

    def test_half_open_ends_after_two_minutes(self, client):
        client.out(segment(4000, 80, SYN, ISN))
        client.wait(119)
        client.out(segment(4000, 80, SYN, ISN))
        client.wait(120)
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is INVALID

    def test_open_ends_after_five_days(self, client):
        connect(client)
        client.wait(432_000 - 1)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        client.wait(432_000)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED

    @pytest.mark.parametrize("ends", [RST, 0])
    def test_the_same_ports_connect_again_and_again(self, client, ends):
        for _ in range(20):
            connect(client)
            if ends:
                assert client.out(segment(4000, 80, RST, ISN + 1)) is None
            else:
                client.wait(432_000)

    @pytest.mark.parametrize("days", [5, 27, 53, 366, 3000])
    def test_nothing_comes_to_life_again(self, client, days):
        connect(client)
        client.wait(86400 * days)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED

    def test_a_simultaneous_open(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert client.back(segment(80, 4000, SYN, PEER)) is None
        assert client.out(segment(4000, 80, SYN | ACK, ISN, PEER + 1)) is None
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None
        client.wait(600)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None

    def test_a_reset_at_the_other_s_number_follows_a_challenge_only(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert client.back(segment(80, 4000, SYN, PEER)) is None
        assert client.out(segment(4000, 80, RST, PEER + 1)) is INVALID
        assert client.out(segment(4000, 80, RST, ISN + 1)) is None

    def test_a_number_that_was_acknowledged_is_no_syn_s_to_move(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
        assert client.out(segment(4000, 80, SYN, ISN + 70_000)) is None
        assert client.out(segment(4000, 80, RST, ISN + 70_001)) is None
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None

    def test_a_challenge_and_the_reset_that_answers_it(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert client.back(segment(80, 4000, ACK, 5, 77)) is None
        client.out(segment(4000, 80, RST, 77))
        assert client.out(segment(4000, 80, SYN, ISN + 9)) is None
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 10)) is None

    def test_a_challenge_prolongs_what_is_half_open(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        client.wait(59)
        assert client.back(segment(80, 4000, ACK, 5, 77)) is None
        client.wait(59)
        assert client.out(segment(4000, 80, RST, 77)) is None

    def test_of_all_flags_few_answer_a_syn(self, client):
        """SYN with ACK, ACK (a challenge), SYN (both open), RST with ACK; others matter not."""
        said = {}
        for flags in range(256):
            client.out(segment(flags, 80, SYN, ISN))
            said[flags] = client.back(segment(80, flags, flags, PEER, ISN + 1))
        heard = {flags & (FIN | SYN | RST | ACK) for flags, reason in said.items() if not reason}
        assert heard == {SYN | ACK, ACK, SYN, RST | ACK}
        assert {reason for reason in said.values() if reason} == {INVALID}

    def test_a_refusal_must_acknowledge_the_syn(self, client):
        client.out(segment(4000, 80, SYN, ISN))
        assert client.back(segment(80, 4000, RST | ACK, 0, ISN)) is INVALID
        assert client.back(segment(80, 4000, RST, 0)) is INVALID
        assert client.back(segment(80, 4000, RST | ACK, 0, ISN + 1)) is None
        client.wait(10)
        assert client.back(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is INVALID

    @pytest.mark.parametrize("distance", [1 << 30, 1 << 31, (1 << 32) - (1 << 16) - 1])
    @pytest.mark.parametrize("flags", [RST, FIN | ACK])
    def test_a_guessed_end_outside_the_window_is_invalid(self, client, flags, distance):
        connect(client)
        guess = (PEER + 1 + distance) % 2**32
        assert client.back(segment(80, 4000, flags, guess, ISN + 1)) is INVALID

    def test_a_guessed_reset_inside_the_window_ends_nothing_here(self, client):
        connect(client)
        assert client.back(segment(80, 4000, RST, (PEER + 5000) % 2**32)) is None
        client.wait(3600)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None

    def test_an_exact_reset_ends_it(self, client):
        connect(client)
        assert client.back(segment(80, 4000, RST, PEER + 1)) is None
        client.wait(10)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED

    def test_a_syn_into_an_open_connection_has_no_effect(self, client):
        connect(client)
        assert client.out(segment(4000, 80, SYN, 5)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        assert client.out(segment(4000, 80, RST, ISN + 1)) is None

    def test_of_an_ended_connection_a_syn_opens_a_new_one_if_the_rules_allow(self, client):
        connect(client)
        client.back(segment(80, 4000, RST, PEER + 1))
        assert client.back(segment(80, 4000, SYN, 7)) is NOT_ALLOWED
        assert client.out(segment(4000, 80, SYN, ISN + 5000)) is None
        assert client.back(segment(80, 4000, SYN | ACK, 9, ISN + 5001)) is None

    @pytest.mark.parametrize("flags", [0, FIN, 8])
    def test_no_segment_without_ack(self, client, flags):
        connect(client)
        assert client.out(segment(4000, 80, flags, ISN + 1)) is INVALID


class TestIcmp:
    def test_an_echo_is_answered_once_it_was_asked(self, client):
        ident = b"\x12\x34\x00\x01"
        family = client.family
        assert client.back(family.icmp(0, 129, ident)) is INVALID
        assert client.out(family.icmp(8, 128, ident)) is None
        assert client.back(family.icmp(0, 129, ident)) is None
        assert client.back(family.icmp(0, 129, b"\x12\x35\x00\x01")) is INVALID
        assert client.back(family.icmp(8, 128, ident)) is NOT_ALLOWED
        client.wait(30)
        assert client.back(family.icmp(0, 129, ident)) is INVALID

    def test_an_error_about_a_living_connection_passes(self, client):
        client.out(ASK)
        assert client.back(error(client.family, ASK), src=client.family.third) is None
        assert client.back(error(client.family, build.udp(4001, 53))) is UNRELATED

    def test_an_error_about_what_the_guest_heard_passes_out(self, server):
        server.allow(rule(TO, server.family, 17))
        server.back(ASK)
        assert server.out(error(server.family, ASK, towards_guest=True)) is None
        assert server.out(error(server.family, ASK)) is UNRELATED

    def test_an_error_about_a_tunnel_tells_its_packets_are_too_big(self, client):
        gre = {"protocol" if client.family.version == 4 else "next_header": 47}
        sent = client.family.packet(client.family.guest, client.family.other, b"\1" * 20, **gre)
        client.frame(FROM, build.ethernet(MAC_A, MAC_V, sent))
        assert client.back(error_quoting(client.family, sent)) is None

    def test_an_error_is_addressed_to_who_sent_what_it_quotes(self, client):
        client.out(ASK)
        quoted = client.family.packet(client.family.third, client.family.other, ASK)
        assert client.back(error_quoting(client.family, quoted)) is UNRELATED

    def test_an_error_whatever_the_rules(self, port):
        port.allow(rule(FROM, port.family), rule(TO, port.family))
        assert port.back(error(port.family, ASK)) is UNRELATED

    def test_an_error_prolongs_nothing(self, client):
        client.out(ASK)
        client.wait(29)
        assert client.back(error(client.family, ASK)) is None
        client.wait(1)
        assert client.back(ANSWER) is NOT_ALLOWED

    def test_a_blind_error_quotes_no_number_that_was_sent(self, client):
        connect(client)
        client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1))
        sent = segment(4000, 80, ACK, ISN + 1, PEER + 1)
        assert client.back(error(client.family, sent)) is None
        guessed = segment(4000, 80, ACK, ISN + 2**31, PEER + 1)
        assert client.back(error(client.family, guessed)) is UNRELATED

    def test_an_error_about_an_echo(self, client):
        echo = client.family.icmp(8, 128, b"\x00\x07\x00\x01")
        client.out(echo)
        assert client.back(error(client.family, echo)) is None
        assert (
            client.back(error(client.family, client.family.icmp(0, 129, b"\0\7\0\1"))) is UNRELATED
        )

    @pytest.mark.parametrize("cut", range(0, 28, 3))
    def test_a_quote_cut_short_is_unrelated(self, client, cut):
        client.out(ASK)
        whole = client.family.packet(client.family.guest, client.family.other, ASK)
        octets = build.ethernet(MAC_A, MAC_V, whole)[14 : 14 + cut]
        message = client.family.icmp(3, 1, bytes(4) + octets)
        assert client.back(message) is UNRELATED

    def test_an_error_in_fragments_is_unrelated(self, client):
        """A later one could reach into what it quotes."""
        family = client.family
        client.out(ASK)
        quoted = family.packet(family.guest, family.other, ASK)
        octets = build.ethernet(MAC_A, MAC_V, quoted)[14:] + bytes(64)
        message = family.icmp(3, 1, bytes(4) + octets)
        first, *_ = build.fragments(family.other, family.guest, message, size=96)
        assert client.frame(TO, build.ethernet(MAC_V, MAC_A, first)) is UNRELATED

    @pytest.mark.parametrize("shorter", [1, 2, 4])
    def test_a_quote_ends_with_the_packet_and_not_with_the_padding(self, client, shorter):
        client.out(ASK)
        whole = client.family.packet(client.family.guest, client.family.other, ASK)
        octets = build.ethernet(MAC_A, MAC_V, whole)[14:-shorter]
        message = client.family.icmp(3, 1, bytes(4) + octets)
        packet = client.family.packet(client.family.other, client.family.guest, message)
        frame = build.ethernet(MAC_V, MAC_A, packet)
        assert client.frame(TO, build.pad(frame, 200)) is UNRELATED

    @pytest.mark.parametrize("shorter", [0, 1])
    def test_a_quote_with_options_is_as_long_as_they_make_it(self, client, shorter):
        client.family = FAMILIES[0]
        client.allow(rule(FROM, client.family))
        client.out(ASK)
        whole = client.family.packet(
            client.family.guest, client.family.other, ASK, options=bytes(4)
        )
        octets = build.ethernet(MAC_A, MAC_V, whole)[14 : 14 + 32 - shorter]
        packet = build.ipv4("10.0.0.11", "10.0.0.10", build.icmpv4(3, 1, bytes(4) + octets))
        frame = build.pad(build.ethernet(MAC_V, MAC_A, packet), 200)
        assert client.frame(TO, frame) is (UNRELATED if shorter else None)

    @pytest.mark.parametrize("headers", [1, 3, 8])
    def test_a_quoted_fragment_or_chain_of_headers_is_followed(self, client, headers):
        """RFC 4890, 4.3.1: else paths that carry smaller packets swallow them."""
        client.family = FAMILIES[1]
        client.allow(rule(FROM, client.family))
        first = build.fragment(build.udp(4000, 53, bytes(2000)), more=True)
        for _ in range(headers - 1):
            first = build.destination_options(first)
        sent = client.family.packet(client.family.guest, client.family.other, first)
        assert client.frame(FROM, build.ethernet(MAC_A, MAC_V, sent)) is None
        octets = build.ethernet(MAC_A, MAC_V, sent)[14:]
        end = 40 + 8 * headers + 8
        for cut, said in ((1200, None), (end, None), (end - 1, UNRELATED), (41, UNRELATED)):
            message = build.icmpv6(2, 0, bytes(4) + octets[:cut])
            assert client.back(message, src=client.family.third) is said

    @pytest.mark.parametrize(
        "chain",
        [
            lambda piece: build.fragment(piece, 1),
            lambda piece: build.fragment(build.fragment(piece)),
            lambda piece: build.destination_options(build.hop_by_hop(piece)),
            lambda piece: build.destination_options(piece, length=255),
        ],
    )
    def test_a_quoted_chain_that_breaks_is_unrelated(self, client, chain):
        client.family = FAMILIES[1]
        client.allow(rule(FROM, client.family))
        client.out(ASK)
        quoted = client.family.packet(client.family.guest, client.family.other, chain(ASK))
        octets = build.ethernet(MAC_A, MAC_V, quoted)[14:]
        assert client.back(build.icmpv6(2, 0, bytes(4) + octets)) is UNRELATED

    @pytest.mark.parametrize("offset", [1, 0x100, 0x1F00])
    def test_a_quoted_later_fragment_tells_no_ports(self, client, offset):
        client.family = FAMILIES[0]
        client.allow(rule(FROM, client.family))
        client.out(ASK)
        quoted = build.ipv4(client.family.guest, client.family.other, ASK, offset=offset)
        assert client.back(error_quoting(client.family, quoted)) is UNRELATED

    @pytest.mark.parametrize("units", range(16))
    def test_a_quoted_header_has_its_least_length(self, client, units):
        client.family = FAMILIES[0]
        client.allow(rule(FROM, client.family))
        client.out(b"", protocol=47)
        quoted = client.family.packet(client.family.guest, client.family.other, b"", protocol=47)
        octets = build.ethernet(MAC_A, MAC_V, quoted)[15:]
        message = client.family.icmp(3, 1, bytes((0, 0, 0, 0, 0x40 | units)) + octets + bytes(48))
        assert client.back(message) is (None if units >= 5 else UNRELATED)

    def test_an_identifier_that_is_cut_short_is_the_octet_that_is_there(self, client):
        client.family = FAMILIES[1]
        client.allow(rule(FROM, client.family))
        assert client.out(build.icmpv6(128, 0, b"\x0f")) is None
        assert client.back(build.icmpv6(129, 0, b"")) is INVALID
        assert client.back(build.icmpv6(129, 0, b"\x0f\x00")) is INVALID
        assert client.back(build.icmpv6(129, 0, b"\x00\x0f")) is None
        assert client.back(build.icmpv6(129, 0, b"\x0f")) is None


class TestProtocolsWithPorts:
    @pytest.mark.parametrize("protocol", [33, 132, 136])
    def test_a_packet_too_short_for_ports_has_none(self, port, protocol):
        port.allow(
            rule(TO, port.family, protocol, ports=PortRange(0, 1023)),
            rule(FROM, port.family, protocol),
        )
        assert port.back(build.Layer(b"\x0f\xa0\0\x50", protocol)) is None
        assert port.back(build.Layer(b"\x0f\xa0\0", protocol)) is NOT_ALLOWED
        padded = port.family.packet(
            port.family.other, port.family.guest, build.Layer(b"\x0f\xa0\0", protocol)
        )
        frame = build.pad(build.ethernet(MAC_V, MAC_A, padded), 100)
        assert port.frame(TO, frame) is NOT_ALLOWED
        assert port.out(build.Layer(b"\x0f", protocol)) is None
        assert port.frame(TO, frame) is None


class TestNestedRemotes:
    def test_each_of_them_is_asked(self, port):
        family = port.family
        guest = 0x0A00000B if family.version == 4 else 0xFD << 120 | 0xB
        bits = 32 if family.version == 4 else 128
        nested = [ip_network((guest >> n << n, bits - n)) for n in range(7)]
        for place in range(7):
            port.allow(
                *(
                    Rule(TO, family.version, 17, PortRange(n, n), remote=prefix)
                    for n, prefix in enumerate(nested)
                )
            )
            assert port.back(build.udp(9, place)) is None
        assert port.back(build.udp(9, 7)) is NOT_ALLOWED


class TestRevocation:
    def test_a_rule_that_goes_takes_its_connections_and_no_others(self, port):
        web, dns = rule(FROM, port.family, 6, port=80), rule(FROM, port.family, 17, port=53)
        port.allow(web, dns)
        connect(port)
        port.out(ASK)
        port.allow(dns)
        assert port.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED
        assert port.out(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is NOT_ALLOWED
        assert port.back(ANSWER) is None

    def test_it_stays_ended_when_the_rule_returns(self, client):
        rules = client.memory.ruleset
        connect(client)
        client.allow()
        client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1))
        client.memory.ruleset = rules
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is NOT_ALLOWED

    def test_an_answer_that_the_rules_allow_does_not_take_it_up_again(self, server):
        family = server.family
        web = rule(TO, family, 6, port=80)
        server.allow(web, rule(FROM, family))
        assert server.back(segment(4000, 80, SYN, ISN)) is None
        assert server.out(segment(80, 4000, SYN | ACK, PEER, ISN + 1)) is None
        assert server.back(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is None
        server.allow(rule(FROM, family))
        for _ in range(3):
            server.wait(200)
            assert server.out(segment(80, 4000, ACK, PEER + 1, ISN + 1, b"more")) is NOT_ALLOWED
            assert server.back(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is NOT_ALLOWED
        assert server.back(error(family, segment(80, 4000, ACK, PEER + 1, ISN + 1))) is UNRELATED
        server.allow(web, rule(FROM, family))
        assert server.back(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is NOT_ALLOWED
        assert server.back(segment(4000, 80, SYN, ISN + 9)) is None
        server.allow(rule(FROM, family))
        assert server.back(segment(4000, 80, ACK, ISN + 1, PEER + 1)) is NOT_ALLOWED
        server.wait(300)
        assert server.out(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None

    def test_a_member_that_goes_takes_its_own(self, port):
        family, bits = port.family, 32 if port.family.version == 4 else 128
        members = [f"{family.other}/{bits}", f"{family.third}/{bits}"]
        from_members = rule(TO, family, 17, remote="members")
        port.allow(from_members, sets={"members": members})
        assert port.back(ASK) is None
        assert port.back(ASK, src=family.third) is None
        port.allow(from_members, sets={"members": members[:1]})
        assert port.out(ANSWER) is None
        assert port.out(ANSWER, family.third) is NOT_ALLOWED

    def test_another_rule_that_allows_the_same_keeps_it(self, client):
        client.out(ASK)
        client.allow(rule(FROM, client.family, 17, port=53))
        assert client.back(ANSWER) is None


class TestStateless:
    @pytest.fixture
    def stateless(self, port):
        port.policy = replace(GUARDED, stateful=False)
        port.allow(rule(FROM, port.family, 17, port=53))
        return port

    def test_an_answer_asks_the_rules_too(self, stateless):
        assert stateless.out(ASK) is None
        assert stateless.back(ANSWER) is NOT_ALLOWED
        assert not stateless.memory.flows

    def test_an_error_asks_the_rules_too(self, stateless):
        assert stateless.back(error(stateless.family, ASK)) is NOT_ALLOWED


def error(family: Family, payload, *, towards_guest: bool = False):
    """Somebody cannot be reached, says somebody, and quotes what was sent."""
    ends = (family.guest, family.other)
    return error_quoting(family, family.packet(*(ends[::-1] if towards_guest else ends), payload))


def error_quoting(family: Family, packet):
    octets = build.ethernet(MAC_A, MAC_V, packet)[14:]
    return family.icmp(3, 1, bytes(4) + octets[: (28 if family.version == 4 else 48)], 1)
