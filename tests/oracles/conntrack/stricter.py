"""What passes in Linux and is dropped here."""

from __future__ import annotations

from tests.oracles.conntrack import examples
from tests.oracles.conntrack.kinds import Kind, Moment
from tests.oracles.conntrack.laxer import is_expected_reset
from tests.oracles.conntrack.steps import ahead
from tests.oracles.conntrack.wire import HEADER, headers_of

from vifguard.model.verdict import Reason

_AHEAD, _BEHIND = 1 << 29, 1 << 16
"""How far from what its sender sent a FIN may be."""


def _is_foreign_reset(moment: Moment) -> bool:
    return (
        moment.reason is Reason.FLOW_INVALID
        and moment.kind in ("R", "RA")
        and not is_expected_reset(moment)
    )


def _is_unasked(moment: Moment) -> bool:
    """A SYN-ACK that acknowledges no SYN that was seen."""
    segment, end = moment.segment, moment.track.sides[moment.other].end
    return (
        moment.reason is Reason.FLOW_INVALID
        and segment is not None
        and moment.kind == "SA"
        and (end is None or segment.acknowledged != end)
    )


def _is_error_of_the_unsent(moment: Moment) -> bool:
    return moment.reason is Reason.ICMP_UNRELATED and moment.connection.protocol == 6


def _is_short_error(moment: Moment) -> bool:
    """Whether an error quotes less than 8 octets of what is behind the quoted headers."""
    if moment.reason is not Reason.ICMP_UNRELATED:
        return False
    packet = moment.step.frames[0][HEADER:]
    is_ipv4 = moment.connection.version == 4
    quoted = packet[20 + 8 :] if is_ipv4 else packet[40 + 8 :]
    header = (quoted[0] & 15) * 4 if is_ipv4 else headers_of(quoted)
    return len(quoted) < header + 8


def _has_ended(moment: Moment) -> bool:
    return not moment.passes_here and moment.track.was_reset and moment.segment is not None


def _is_foreign_fin(moment: Moment) -> bool:
    segment, track = moment.segment, moment.track
    if moment.reason is not Reason.FLOW_INVALID or segment is None or moment.kind != "FA":
        return False
    sent, received = track.sides[moment.sender].end, track.sides[moment.other].acknowledged
    known = [number for number in (sent, received) if number is not None]
    return sent is None or any(
        not -_BEHIND <= ahead(segment.sequence, number) <= _AHEAD for number in known
    )


def _is_other_message(moment: Moment) -> bool:
    return moment.reason is Reason.NOT_ALLOWED and moment.step.what == "error"


def _has_more_syns(moment: Moment) -> bool:
    return moment.kind in ("S", "A") and (moment.track.is_crossed or moment.track.is_reopened)


KINDS = (
    Kind(
        "rst-elsewhere",
        "an RST that its receiver ignores: not at the number that it waits for, or, where it has"
        " sent a SYN alone, without acknowledging it",
        "drop where it is far outside of the window, or the connection is not open",
        "pass while the connection is opened, closing or was picked up",
        "Its receiver drops it (RFC 9293, 3.10.7.3; RFC 5961, 3.2).",
        _is_foreign_reset,
        examples.rst,
    ),
    Kind(
        "synack-unasked",
        "a SYN-ACK that acknowledges no SYN that was sent",
        "drop",
        "pass if the connection is already answered",
        "Its receiver answers with an RST (RFC 9293, 3.10.7.3), which would end what is being"
        " opened.",
        _is_unasked,
        examples.unasked,
    ),
    Kind(
        "icmp-short",
        "an ICMP error that quotes less than 8 octets of what is behind the IP header and, of IPv6,"
        " its extension headers",
        "drop",
        "pass",
        "RFC 792 and RFC 4443 have more quoted.",
        _is_short_error,
        examples.short,
    ),
    Kind(
        "icmp-unsent",
        "an ICMP error that quotes a segment of a connection, but a number that was not sent",
        "drop",
        "pass",
        "Anybody can guess ports; the number shows that its sender saw the packet (RFC 5927, 4.1).",
        _is_error_of_the_unsent,
        examples.unsent,
    ),
    Kind(
        "ended-anew",
        "what follows an RST that ended the connection, and a SYN after it",
        "drop: a new connection needs both sides, and the rules",
        "pass: an RST in another place did not end it, or a SYN with the old number is let through",
        "An RST that hits what was sent or acknowledged ends a connection here.",
        _has_ended,
        examples.ended,
    ),
    Kind(
        "second-syn-unanswered",
        "what follows a SYN into a connection that no SYN-ACK acknowledged",
        "drop",
        "pass: its numbers are those of the connection from then on",
        "Only the answer shows that the other end took the SYN for a new connection.",
        lambda moment: moment.reason is Reason.FLOW_INVALID and moment.track.is_reopened,
        examples.unanswered,
    ),
    Kind(
        "fin-elsewhere",
        "a FIN outside of the window, or of who has sent nothing else",
        "drop",
        "pass at times",
        "Its receiver does not take it (RFC 9293, 3.10.7.4), and here it would shorten the life of"
        " the connection.",
        _is_foreign_fin,
        examples.fin,
    ),
    Kind(
        "crossed-again",
        "what follows a SYN of who did not open the connection, after SYNs that crossed, or after"
        " a second one",
        "drop where the rules do not allow a connection from that side",
        "pass",
        "A SYN in an open connection may be the first of another one, which the rules have not"
        " seen yet.",
        lambda moment: moment.reason is Reason.NOT_ALLOWED and _has_more_syns(moment),
        examples.crossed_again,
    ),
    Kind(
        "idle-picked-up",
        "an ACK of who sent a SYN twice that nobody answered, long ago",
        "drop: the second SYN prolonged what is known of the first",
        "pick it up: it has forgotten the SYN",
        "Who opens a connection has nothing to acknowledge before the answer.",
        lambda moment: moment.reason is Reason.FLOW_INVALID and moment.is_forgotten_there,
        examples.picked_up,
    ),
    Kind(
        "idle-crossed",
        "what follows 60 s after SYNs that crossed",
        "as without a connection",
        "pass for 120 s",
        "It is remembered like any connection of which both sides have sent a SYN.",
        lambda moment: not moment.passes_here and moment.is_forgotten_here,
        examples.idle_crossed,
    ),
    Kind(
        "icmp-redirect",
        "a redirect, or an ICMPv6 error of an unknown type, that quotes a packet of a connection",
        "drop unless a rule allows it",
        "pass: it is related",
        "A redirect changes routes, and so is no business of a connection; what an unknown error"
        " would do, nobody knows.",
        _is_other_message,
        examples.redirect,
    ),
)
