"""What TCP remembers: silence, crashes, and ports that come back."""

from tests.oracles.stacks.script import Situation

_OPEN = """
    b listen L @b:{0}
    a connect c @b:{0} from @a:{1}
    b accept L s
    a send c 1000
    b recv s 1000 -> 1000
"""
_WORKS = """
    a send c 1000
    b recv s 1000 -> 1000
    b send s 1000
    a recv c 1000 -> 1000
    a finish c
    b drain s -> end
    b close s
    a drain c -> end
"""

SITUATIONS = (
    Situation(
        "silence for twenty hours",
        "RFC 5382, REQ-5: an open connection may be idle for at least two hours and four minutes",
        _OPEN.format(1101, 20101) + "\n clock advance 72000 \n" + _WORKS,
    ),
    Situation(
        "silence for six days, then the client",
        "the table forgets after five days; it takes up again what the rules would open",
        _OPEN.format(1102, 20102) + "\n clock advance 518400 \n" + _WORKS,
    ),
    Situation(
        "silence for six days, then the server",
        "the same; but a rule that lets clients in lets no server speak",
        _OPEN.format(1103, 20103)
        + """
        clock advance 518400
        b send s 1000
        a recv c 1000 -> 1000
        """,
    ),
    Situation(
        "keep-alive",
        "RFC 9293, 3.8.4: segments without data, below what is acknowledged",
        _OPEN.format(1104, 20104)
        + """
        a set c keepalive
        a set c keepidle 1
        a set c keepintvl 1
        wire clear
        wire await out ack
        wire await in ack
        """
        + _WORKS,
    ),
    Situation(
        "keep-alive to a host that was restarted",
        "RFC 9293, 3.5.1, case 2: the answer is a reset",
        _OPEN.format(1105, 20105)
        + """
        a set c keepalive
        a set c keepidle 1
        a set c keepintvl 1
        b crash
        a recv c 1 -> 0 reset
        """,
    ),
    Situation(
        "half open after the server's crash",
        "RFC 9293, 3.5.1, case 2: data to a host that knows nothing of it is reset",
        _OPEN.format(1106, 20106)
        + """
        b crash
        a send c 1000
        a recv c 1 -> 0 reset | 0 end
        """,
    ),
    Situation(
        "half open after the client's crash",
        "RFC 9293, 3.5.1, case 2: the same, where the server speaks",
        _OPEN.format(1107, 20107)
        + """
        a crash
        b send s 1000
        b recv s 1 -> 0 reset | 0 end
        """,
    ),
    Situation(
        "the same ports after the client's crash",
        "RFC 9293, 3.5.1, figure 9: the SYN is challenged, the challenge reset, the SYN repeated",
        _OPEN.format(1108, 20108)
        + """
        a crash
        a connect c @b:1108 from @a:20108
        b accept L s
        """
        + _WORKS,
    ),
    Situation(
        "the same ports after a crash of both",
        "RFC 9293, 3.5: new numbers on old ports, from the handshake to both FINs",
        _OPEN.format(1109, 20109)
        + """
        a crash
        b crash
        b listen L @b:1109
        a connect c @b:1109 from @a:20109
        b accept L s
        """
        + _WORKS,
    ),
    Situation(
        "the same ports, the other way round",
        "RFC 9293, 3.5: after a crash of both, who was the server opens from its port",
        _OPEN.format(1110, 1111)
        + """
        a crash
        b crash
        a listen L @a:1111
        b connect s @a:1111 from @b:1110
        a accept L c
        """
        + _WORKS,
    ),
)
