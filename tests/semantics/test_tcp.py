"""TCP connections: Fast Open, half-closed, reset, begun anew, and false acknowledgements."""

import pytest
from tests.semantics.guarded import FROM, ISN, PEER, SECOND, TO, connect, rule, segment
from tests.semantics.test_groups import error

from vifguard.model.verdict import Reason
from vifguard.packet import build
from vifguard.semantics.tcp import ACK, FIN, RST, SYN

NOT_ALLOWED, INVALID = Reason.NOT_ALLOWED, Reason.FLOW_INVALID
DATA = b"x" * 100
DAYS = 432_000


def request(client, *, data: bytes = DATA, sequence: int = ISN):
    """A SYN that carries data (RFC 7413)."""
    return client.out(segment(4000, 80, SYN, sequence, data=data))


def answer(client, acknowledged: int, flags: int = SYN | ACK, sequence: int = PEER):
    return client.back(segment(80, 4000, flags, sequence, acknowledged))


def lives(client) -> bool:
    """Whether the connection is there: nothing else lets a SYN with ACK pass."""
    return client.back(segment(80, 4000, SYN | ACK, 1, 1)) is None


class TestFastOpen:
    @pytest.mark.parametrize("accepted", [0, 1, len(DATA)])
    def test_the_answer_acknowledges_the_syn_and_any_of_its_data(self, client, accepted):
        assert request(client) is None
        assert answer(client, ISN + 1 + accepted) is None
        assert client.out(segment(4000, 80, ACK, ISN + 1 + accepted, PEER + 1)) is None
        assert client.out(segment(4000, 80, RST, ISN + 1 + accepted)) is None
        assert answer(client, ISN + 1 + accepted) is None
        client.wait(11)
        assert not lives(client)

    @pytest.mark.parametrize("wrong", [-1, len(DATA) + 1, 1 << 31])
    def test_and_nothing_else(self, client, wrong):
        assert request(client) is None
        assert answer(client, ISN + 1 + wrong) is INVALID
        assert answer(client, ISN + 1 + wrong, RST | ACK, 0) is INVALID

    def test_a_server_behind_the_port(self, server):
        assert server.back(segment(4000, 80, SYN, ISN, data=DATA)) is None
        assert server.out(segment(80, 4000, SYN | ACK, PEER, ISN + 101)) is None
        assert server.out(segment(80, 4000, ACK, PEER + 1, ISN + 101, b"page")) is None
        assert server.out(segment(80, 4000, FIN | ACK, PEER + 5, ISN + 101)) is None
        assert server.back(segment(4000, 80, ACK, ISN + 101, PEER + 6)) is None

    def test_the_syn_again_without_data_and_the_answer_again(self, client):
        assert request(client) is None
        assert request(client, data=b"") is None
        assert answer(client, ISN + 101) is None
        assert answer(client, ISN + 101) is None
        assert client.out(segment(4000, 80, ACK, ISN + 101, PEER + 1)) is None
        assert lives(client)

    def test_data_and_the_end_before_the_last_ack(self, client):
        assert request(client) is None
        assert answer(client, ISN + 101) is None
        assert answer(client, ISN + 101, ACK, PEER + 1) is None
        assert client.back(segment(80, 4000, FIN | ACK, PEER + 1, ISN + 101, b"page")) is None
        assert client.out(segment(4000, 80, FIN | ACK, ISN + 101, PEER + 6)) is None
        assert answer(client, ISN + 102, ACK, PEER + 6) is None
        client.wait(120)
        assert not lives(client)

    def test_a_server_that_resets_before_the_last_ack(self, client):
        assert request(client) is None
        assert answer(client, ISN + 101) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 101, b"page")) is None
        assert client.back(segment(80, 4000, RST, PEER + 5)) is None
        client.wait(11)
        assert not lives(client)

    @pytest.mark.parametrize("acknowledged", [ISN + 1, ISN + 101])
    def test_a_closed_port(self, client, acknowledged):
        assert request(client) is None
        assert answer(client, acknowledged, RST | ACK, 0) is None
        client.wait(11)
        assert not lives(client)

    def test_an_error_quotes_what_was_sent(self, client):
        assert request(client) is None
        assert client.back(error(client.family, segment(4000, 80, SYN, ISN))) is None
        beyond = segment(4000, 80, SYN, ISN + 102)
        assert client.back(error(client.family, beyond)) is Reason.ICMP_UNRELATED

    def test_another_attempt_is_another_number(self, client):
        assert request(client) is None
        assert request(client, sequence=ISN + 5000, data=b"") is None
        assert answer(client, ISN + 101) is INVALID
        assert answer(client, ISN + 5001) is None


class TestClosing:
    @pytest.mark.parametrize("side", [FROM, TO])
    def test_with_a_fin_that_nobody_acknowledges_it_lives_for_two_minutes(self, client, side):
        connect(client)
        end(client, side)
        client.wait(119)
        assert lives(client)
        client.wait(1)
        assert not lives(client)

    def test_once_it_was_acknowledged_for_two_hours(self, client):
        connect(client)
        end(client, FROM)
        assert answer(client, ISN + 2, ACK, PEER + 1) is None
        client.wait(7439)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 2, b"late")) is None
        client.wait(7439)
        assert lives(client)
        client.wait(1)
        assert not lives(client)

    def test_the_other_side_may_send_for_hours(self, client):
        connect(client)
        end(client, FROM)
        assert answer(client, ISN + 2, ACK, PEER + 1) is None
        for part in range(20):
            client.wait(7000)
            sequence = (PEER + 1 + part * 10) % 2**32
            assert client.back(segment(80, 4000, ACK, sequence, ISN + 2, b"x" * 10)) is None
            reached = (sequence + 10) % 2**32
            assert client.out(segment(4000, 80, ACK, ISN + 2, reached)) is None

    def test_with_both_it_lives_for_two(self, client):
        connect(client)
        end(client, FROM)
        end(client, TO)
        client.wait(119)
        assert lives(client)
        client.wait(1)
        assert not lives(client)


def end(client, side) -> None:
    if side is FROM:
        assert client.out(segment(4000, 80, FIN | ACK, ISN + 1, PEER + 1)) is None
    else:
        assert client.back(segment(80, 4000, FIN | ACK, PEER + 1, ISN + 1)) is None


class TestReset:
    def test_behind_what_nobody_has_acknowledged_it_ends_the_connection(self, client):
        connect(client)
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        assert client.out(segment(4000, 80, RST | ACK, ISN + 101, PEER + 1)) is None
        client.wait(11)
        assert not lives(client)

    def test_within_it_it_may_be_right(self, client):
        connect(client)
        for wait, lived in ((9, True), (11, False)):
            assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
            assert client.out(segment(4000, 80, RST, ISN + 51)) is None
            client.wait(wait)
            assert lives(client) is lived

    def test_and_the_next_packet_says_that_it_was_not(self, client):
        connect(client)
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        assert client.out(segment(4000, 80, RST, ISN + 51)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 101)) is None
        client.wait(DAYS - 1)
        assert lives(client)

    def test_ahead_of_all_that_was_sent_it_is_not(self, client):
        connect(client)
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        assert client.out(segment(4000, 80, RST, ISN + 102)) is None
        client.wait(DAYS - 1)
        assert lives(client)

    def test_an_idle_connection_has_one_number_to_hit(self, client):
        connect(client)
        for off in (-1, 1, 5000, 1 << 29):
            assert client.back(segment(80, 4000, RST, (PEER + 1 + off) % 2**32)) is None
        client.wait(DAYS - 1)
        assert lives(client)


class TestInThePlaceOfAnother:
    """Both ends have lost the connection, and begin with the same ports and other numbers."""

    NEW, ITS = 0x90000000, 0xA0000000

    def test_what_both_agree_on_is_a_connection_that_can_end(self, client):
        connect(client)
        client.wait(3600)
        assert client.out(segment(4000, 80, SYN, self.NEW)) is None
        assert client.back(segment(80, 4000, SYN | ACK, self.ITS, self.NEW + 1)) is None
        assert client.out(segment(4000, 80, ACK, self.NEW + 1, self.ITS + 1, DATA)) is None
        assert client.back(segment(80, 4000, ACK, self.ITS + 1, self.NEW + 101)) is None
        assert client.out(segment(4000, 80, FIN | ACK, self.NEW + 101, self.ITS + 1)) is None
        assert client.back(segment(80, 4000, FIN | ACK, self.ITS + 1, self.NEW + 102)) is None
        client.wait(120)
        assert not lives(client)

    def test_with_data_in_the_syn(self, client):
        connect(client)
        assert request(client, sequence=self.NEW) is None
        assert answer(client, self.NEW + 101, sequence=self.ITS) is None
        assert client.out(segment(4000, 80, RST, self.NEW + 101)) is None
        client.wait(11)
        assert not lives(client)

    def test_an_answer_to_nothing_begins_nothing(self, client):
        connect(client)
        assert answer(client, self.NEW + 1, sequence=self.ITS) is None
        assert client.out(segment(4000, 80, RST, ISN + 1)) is None

    def test_a_syn_that_is_not_answered_spoils_nothing(self, client):
        connect(client)
        assert client.out(segment(4000, 80, SYN, self.NEW)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        assert client.out(segment(4000, 80, RST, self.NEW + 1)) is INVALID
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        assert answer(client, self.NEW + 1, sequence=self.ITS) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 101)) is None
        assert client.out(segment(4000, 80, RST, ISN + 101)) is None
        client.wait(11)
        assert not lives(client)

    def test_the_other_side_asks_the_rules(self, client):
        connect(client)
        assert client.back(segment(80, 4000, SYN, self.ITS)) is NOT_ALLOWED
        assert client.out(segment(4000, 80, SYN | ACK, self.NEW, self.ITS + 1)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        assert client.out(segment(4000, 80, RST, ISN + 1)) is None
        client.wait(11)
        assert not lives(client)

    def test_and_is_the_opener_if_they_allow(self, client):
        family = client.family
        outwards, inwards = rule(FROM, family), rule(TO, family, 6, port=4000)
        client.allow(outwards, inwards)
        connect(client)
        assert client.back(segment(80, 4000, SYN, self.ITS)) is None
        assert client.out(segment(4000, 80, SYN | ACK, self.NEW, self.ITS + 1)) is None
        assert client.back(segment(80, 4000, ACK, self.ITS + 1, self.NEW + 1)) is None
        client.allow(inwards)
        assert client.back(segment(80, 4000, ACK, self.ITS + 1, self.NEW + 1)) is None
        client.allow(outwards)
        assert client.out(segment(4000, 80, ACK, self.NEW + 1, self.ITS + 1)) is NOT_ALLOWED

    def test_nor_is_one_that_was_picked_up_opened_by_the_other_side(self, client):
        assert client.out(segment(4000, 80, ACK, ISN, PEER)) is None
        assert client.back(segment(80, 4000, SYN, 7)) is NOT_ALLOWED


class TestAcknowledgement:
    @pytest.mark.parametrize("beyond", [1, 1 << 16, 1 << 29, 1 << 31])
    def test_what_was_not_sent_is_not_acknowledged(self, client, beyond):
        connect(client)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1 + beyond)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 1)) is None
        assert client.out(segment(4000, 80, FIN | ACK, ISN + 1, PEER + 1)) is None
        assert client.out(segment(4000, 80, RST, ISN + 2)) is None
        client.wait(11)
        assert not lives(client)

    def test_it_prolongs_nothing(self, client):
        connect(client)
        client.wait(DAYS - 1)
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 2)) is None
        client.wait(1)
        assert not lives(client)

    def test_it_opens_nothing(self, client):
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert answer(client, ISN + 1) is None
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 2)) is None
        client.wait(60)
        assert not lives(client)

    def test_data_that_was_seen_is(self, client):
        connect(client)
        for number in range(5):
            sequence = ISN + 1 + 1000 * number
            assert client.out(segment(4000, 80, ACK, sequence, PEER + 1, bytes(1000))) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 5001)) is None
        assert client.out(segment(4000, 80, RST, ISN + 5001)) is None
        client.wait(11)
        assert not lives(client)

    def test_a_keepalive_picks_an_idle_connection_up(self, client):
        """It is one octet behind what was sent: its answer acknowledges more than was seen."""
        assert client.out(segment(4000, 80, ACK, ISN - 1, PEER)) is None
        assert client.back(segment(80, 4000, ACK, PEER, ISN)) is None
        client.wait(DAYS - 1)
        assert lives(client)

    def test_an_error_about_what_was_not_sent_is_unrelated(self, client):
        connect(client)
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        sent = build.tcp(4000, 80, flags=ACK, sequence=ISN + 101)
        assert client.back(error(client.family, sent)) is None
        not_sent = build.tcp(4000, 80, flags=ACK, sequence=ISN + 102)
        assert client.back(error(client.family, not_sent)) is Reason.ICMP_UNRELATED


class TestLate:
    """Old copies of a connection's own SYN."""

    def test_one_spoils_no_open_connection(self, client):
        connect(client)
        assert client.out(segment(4000, 80, ACK, ISN + 1, PEER + 1, DATA)) is None
        assert client.back(segment(80, 4000, ACK, PEER + 1, ISN + 101)) is None
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert answer(client, ISN + 1) is None
        assert client.out(segment(4000, 80, RST, ISN + 101)) is None
        client.wait(11)
        assert not lives(client)

    def test_nor_one_that_ends(self, client):
        connect(client)
        assert client.back(segment(80, 4000, FIN | ACK, PEER + 1, ISN + 1)) is None
        assert client.out(segment(4000, 80, FIN | ACK, ISN + 1, PEER + 2)) is None
        assert answer(client, ISN + 2, ACK, PEER + 2) is None
        assert client.out(segment(4000, 80, SYN, ISN)) is None
        assert client.out(segment(4000, 80, ACK, ISN + 2, PEER + 2)) is None


class TestNewGuard:
    """A guard that does not know the connections that there are."""

    LATER = 7440

    @pytest.fixture
    def new(self, client):
        client.memory.new_until = client.now + self.LATER * SECOND
        return client

    @pytest.mark.parametrize("flags", [ACK, ACK | 8, FIN | ACK])
    def test_what_the_other_side_sends_is_picked_up(self, new, flags):
        assert new.back(segment(80, 4000, flags, PEER, ISN, DATA)) is None
        received = (PEER + 100 + (flags & FIN)) % 2**32
        assert new.out(segment(4000, 80, ACK, ISN, received)) is None
        new.wait(self.LATER - 1)
        assert new.back(segment(80, 4000, ACK, received, ISN)) is None

    @pytest.mark.parametrize("flags", [SYN, SYN | ACK, RST, RST | ACK])
    def test_nothing_else_is(self, new, flags):
        assert new.back(segment(80, 4000, flags, PEER, ISN)) in (NOT_ALLOWED, INVALID)

    def test_it_opens_nothing(self, new):
        """Not even behind an ACK."""
        assert new.back(segment(4000, 22, ACK, PEER, ISN)) is None
        assert new.back(segment(4000, 22, SYN, PEER)) is NOT_ALLOWED

    def test_datagrams_wait(self, new):
        assert new.back(build.udp(53, 4000)) is NOT_ALLOWED

    def test_it_is_not_new_for_ever(self, new):
        new.wait(self.LATER)
        assert new.back(segment(80, 4000, ACK, PEER, ISN)) is NOT_ALLOWED
        assert new.out(segment(4000, 80, FIN | ACK, ISN, PEER)) is INVALID

    def test_what_no_rule_allows_either_way_is_not(self, new):
        new.allow(rule(FROM, new.family, 6, port=443))
        assert new.back(segment(80, 4000, ACK, PEER, ISN)) is NOT_ALLOWED
        assert new.out(segment(4000, 80, ACK, ISN, PEER)) is NOT_ALLOWED
        assert new.back(segment(443, 4000, ACK, PEER, ISN)) is None

    def test_it_lives_as_long_as_the_rule_that_would_have_opened_it(self, new):
        assert new.back(segment(80, 4000, ACK, PEER, ISN)) is None
        new.allow(rule(TO, new.family))
        assert new.back(segment(80, 4000, ACK, PEER, ISN)) is NOT_ALLOWED
