"""What passes here and is invalid in Linux."""

from __future__ import annotations

from itertools import pairwise

from tests.oracles.conntrack import examples
from tests.oracles.conntrack.kinds import Kind, Moment
from tests.oracles.conntrack.steps import ACK, FIN, RST, SYN, URG
from tests.oracles.conntrack.track import Track
from tests.oracles.conntrack.wire import HEADER, is_later

from vifguard.packet.frame import parse
from vifguard.packet.ip4 import IPv4
from vifguard.packet.ip6 import IPv6

_LEGAL_FLAGS = {
    SYN,
    SYN | URG,
    SYN | ACK,
    RST,
    RST | ACK,
    FIN | ACK,
    FIN | ACK | URG,
    ACK,
    ACK | URG,
}
"""As nf_conntrack_proto_tcp.c lists them, without PSH, ECE and CWR."""


def _is_odd(moment: Moment) -> bool:
    segment = moment.segment
    return segment is not None and segment.flags & 0x37 not in _LEGAL_FLAGS


def _is_outside(moment: Moment) -> bool:
    segment, track = moment.segment, moment.track
    if segment is None:
        return False
    if moment.kind in ("R", "RA") and (not is_expected_reset(moment) or moment.state == "SYN_SENT"):
        return True
    if moment.kind == "SA":
        return track.is_beyond(moment.sender, segment)
    return moment.kind in ("A", "FA", "RA") and (
        track.is_outside(moment.sender, segment) or track.is_beyond(moment.sender, segment)
    )


def is_expected_reset(moment: Moment) -> bool:
    """Whether the receiver of an RST would take it (RFC 9293, 3.10.7.3; RFC 5961, 3.2)."""
    segment, track = moment.segment, moment.track
    assert segment is not None
    mine, receiver = track.sides[moment.sender], track.sides[moment.other]
    if receiver.acknowledged is not None:
        return segment.sequence in (receiver.acknowledged, mine.end)
    if receiver.syn and not mine.syn:
        return bool(segment.flags & ACK) and segment.acknowledged == receiver.end
    return segment.sequence == mine.end


def _is_in_open(moment: Moment) -> bool:
    return moment.kind == "S" or (moment.kind == "SA" and not moment.state.startswith("SYN"))


def _has_ended(moment: Moment) -> bool:
    fins = [side.fin for side in moment.track.sides.values()]
    return moment.track.was_reset or (any(fins) and moment.state != "ESTABLISHED")


def _has_second_syn(track: Track) -> bool:
    return track.is_reopened or track.has_old_syn


def _is_early(moment: Moment) -> bool:
    return moment.kind == "A" and moment.state in ("SYN_RECV", "FIN_WAIT")


def _overlaps(moment: Moment) -> bool:
    spans = sorted(set(map(_span, moment.step.frames)))
    return any(end > begin for (_, end), (begin, _) in pairwise(spans))


def _span(frame: bytes) -> tuple[int, int]:
    """Where a fragment's octets begin in its packet, and where they end."""
    packet = parse(frame).body
    if isinstance(packet, IPv4):
        begin, length = packet.offset * 8, len(frame) - HEADER - 20
        return begin, begin + length
    assert isinstance(packet, IPv6)
    begin = packet.fragment.offset * 8 if packet.fragment else 0
    return begin, begin + len(frame) - HEADER - 48


def _quotes_later(moment: Moment) -> bool:
    packet = moment.step.frames[0][HEADER:]
    if not moment.passes_here or moment.segment is not None:
        return False
    protocol, quoted = (packet[9], packet[28:]) if packet[0] >> 4 == 4 else (packet[6], packet[48:])
    return protocol in (1, 58) and len(quoted) >= 28 and is_later(quoted)


KINDS = (
    Kind(
        "checksum",
        "a packet whose TCP, UDP or ICMP checksum is wrong, or whose UDP length is",
        "pass",
        "invalid",
        "A receiver drops it; to sum up its data would cost every packet a walk through them.",
        lambda moment: moment.passes_here and not moment.step.is_sound,
        examples.checksum,
    ),
    Kind(
        "flags",
        "URG in an RST or SYN-ACK",
        "as without it",
        "invalid",
        "Receivers look at RST first, then at SYN (RFC 9293, 3.10.7); no stack sends it.",
        lambda moment: moment.passes_here and _is_odd(moment),
        examples.flags,
    ),
    Kind(
        "syn-in-open",
        "a SYN, or a SYN-ACK that answers none, in an open connection",
        "pass",
        "invalid from who did not open it, or far away",
        "The receiver challenges it, and so a peer that has forgotten the connection learns"
        " that it has to reset it (RFC 9293, 3.5.1; RFC 5961, 4).",
        lambda moment: moment.passes_here and moment.entry is not None and _is_in_open(moment),
        examples.syn,
    ),
    Kind(
        "window",
        "a segment with data outside of the window, or an acknowledgement of what was not sent",
        "pass",
        "invalid",
        "Windows are not followed: the receiver knows its own, and answers with a challenge"
        " (RFC 9293, 3.10.7.4; RFC 5961, 5).",
        lambda moment: moment.passes_here and _is_outside(moment),
        examples.window,
    ),
    Kind(
        "ended",
        "what follows an RST, or FINs, of a connection that is still remembered here",
        "pass, for 10 s after an RST, and for 120 s after both FINs",
        "invalid: an RST before the connection was open, two FINs of one side, or a SYN that the"
        " rules do not allow or that comes late, end what Linux knows of it at once",
        "What was on its way is of no use to its receiver and does no harm.",
        lambda moment: moment.passes_here and _has_ended(moment),
        examples.reset,
    ),
    Kind(
        "idle",
        "a packet of a connection that was idle for longer than Linux remembers it",
        "pass: an open connection lives for five days, one that one side has closed for 2 h 4 min,"
        " UDP for 180 s and GRE for 600 s once they were answered",
        "drop: 300 s while data is not acknowledged, 60 s after a FIN was, UDP 120 s and in its"
        " first two seconds 30 s, GRE 180 s",
        "docs/guards.md says how long here, and why: its ends may still know the connection.",
        lambda moment: moment.passes_here and moment.is_forgotten_there,
        examples.idle,
    ),
    Kind(
        "early-data",
        "an acknowledgement of data that the answerer of a SYN sent before its SYN-ACK was"
        " acknowledged, where a segment had overtaken another",
        "pass",
        "invalid: what overtook was not counted",
        "The data was sent, and seen.",
        lambda moment: moment.passes_here and _is_early(moment),
        examples.early_data,
    ),
    Kind(
        "second-syn",
        "what follows a second SYN, with another number or long after the first",
        "pass: the numbers of the older connection or of the newer one may be right",
        "invalid where it is not of the one that Linux takes for the living one; a late duplicate"
        " of SYN and SYN-ACK has it drop data until the opener sends again",
        "Only the two ends know which of the two goes on (RFC 5961, 4).",
        lambda moment: moment.passes_here and _has_second_syn(moment.track),
        examples.second_syn,
    ),
    Kind(
        "both-open",
        "what follows the SYNs of two sides that cross: a SYN-ACK with another number than its"
        " SYN, or an ACK instead of a SYN-ACK",
        "pass",
        "invalid",
        "A side may have begun anew meanwhile, and the receiver challenges what is not of the SYN"
        " that it saw (RFC 9293, 3.10.7.4).",
        lambda moment: moment.passes_here and moment.track.is_crossed,
        examples.crossed,
    ),
    Kind(
        "overshoot",
        "an acknowledgement of data that were sent beyond the window",
        "pass",
        "invalid where Linux did not count those data",
        "The receiver took them, and says so.",
        lambda moment: moment.passes_here and moment.track.has_overshot,
        examples.overshoot,
    ),
    Kind(
        "fragment-overlap",
        "fragments that overlap behind the header that is judged",
        "pass",
        "drop the whole packet",
        "What is judged is the first fragment, into whose header no other may reach. Receivers drop"
        " the rest (RFC 5722, RFC 8200, 4.5).",
        lambda moment: moment.passes_here and _overlaps(moment),
        examples.overlap,
    ),
    Kind(
        "icmp-later",
        "an ICMP error that quotes a later fragment of a packet whose first passed",
        "pass",
        "drop",
        "A router says of each fragment that it is too big for the next link (RFC 4890, 4.3.1).",
        _quotes_later,
        examples.quoted_later,
    ),
    Kind(
        "fragment-missing",
        "the fragments of a packet of which one is missing",
        "pass",
        "wait for the missing one",
        "Nothing is assembled here; the receiver waits.",
        lambda moment: moment.passes_here and moment.step.is_fragmented and not _overlaps(moment),
        examples.missing,
    ),
)
