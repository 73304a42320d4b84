"""TCP on a wire that loses, repeats and reorders."""

from tests.oracles.stacks.script import Situation

_OPEN = """
    b listen L @b:{0}
    a connect c @b:{0}
    b accept L s
    a send c 1000
    b recv s 1000 -> 1000
"""
_BOTH_WAYS = """
    a send c 200000 &
    b recv s 200000 -> 200000
    a wait
    b send s 200000 &
    a recv c 200000 -> 200000
    b wait
    a close c
    b drain s -> end
"""

SITUATIONS = (
    Situation(
        "a lost SYN",
        "RFC 6298, 5: it is sent again, with the same number",
        "wire lose out syn 1" + _OPEN.format(1201) + _BOTH_WAYS,
    ),
    Situation(
        "a lost SYN-ACK",
        "RFC 6298, 5: both the SYN and its answer come again",
        "wire lose in syn 1" + _OPEN.format(1202) + _BOTH_WAYS,
    ),
    Situation(
        "a lost last ACK of the handshake",
        "RFC 9293, 3.8: the first data acknowledges in its place",
        "wire lose out ack 1" + _OPEN.format(1203) + _BOTH_WAYS,
    ),
    Situation(
        "losses out",
        "RFC 2018, RFC 6675: blocks of SACK, retransmission",
        _OPEN.format(1204) + "wire lose out data 2 5 6 9 30" + _BOTH_WAYS,
    ),
    Situation(
        "losses in",
        "RFC 2018, RFC 6675: the same, of the server's data",
        _OPEN.format(1205) + "wire lose in data 2 5 6 9 30" + _BOTH_WAYS,
    ),
    Situation(
        "a lost FIN",
        "RFC 9293, 3.6: it is sent again",
        _OPEN.format(1206)
        + """
        wire lose out fin 1
        a finish c
        b drain s -> end
        b send s 1000
        b close s
        a recv c 1001 -> 1000 end
        """,
    ),
    Situation(
        "segments out of order",
        "RFC 9293, 3.10.7.4: what comes too early waits",
        _OPEN.format(1207)
        + """
        wire order out data 3 1 2 5 4
        wire order in data 2 1 4 3
        """
        + _BOTH_WAYS,
    ),
    Situation(
        "every segment twice",
        "RFC 9293, 3.10.7.4: what was there already is acknowledged again",
        """
        wire repeat out tcp
        wire repeat in tcp
        """
        + _OPEN.format(1208)
        + _BOTH_WAYS,
    ),
    Situation(
        "zero window",
        "RFC 9293, 3.8.6.1: probes beyond the window, and the update that opens it",
        _OPEN.format(1209)
        + """
        a fill c -> filled
        wire clear
        wire await out tcp
        a finish c
        b drain s -> end
        """,
    ),
    Situation(
        "timestamps that wrap",
        "RFC 7323, 5.4: their values are compared modulo 2^32",
        "wire timestamps 4294967291" + _OPEN.format(1210) + _BOTH_WAYS,
        stacks=frozenset({("linux", "linux"), ("linux", "gvisor")}),
    ),
    Situation(
        "a link that is gone for a while",
        "RFC 9293, 3.8.3: a connection outlives what it does not notice",
        _OPEN.format(1211)
        + """
        wire cut
        a send c 20000
        wire await out data 3
        wire mend
        b recv s 20000 -> 20000
        """,
    ),
)
