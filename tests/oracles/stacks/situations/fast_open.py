"""TCP Fast Open (RFC 7413): data in the SYN."""

from tests.oracles.stacks.script import Situation

_LISTEN = "b listen L @b:{0} fast-open"
_COOKIE = """
    a connect k @b:{0} fast-open 10
    b accept L j
    a send k 10
    a close k
    b drain j -> end
    b close j
"""
_END = """
    b send s 3000
    a recv c 3000 -> 3000
    a close c
    b drain s -> end
"""

SITUATIONS = (
    Situation(
        "Fast Open asks for a cookie",
        "RFC 7413, 4.1.2: an option in the SYN, none of the data",
        _LISTEN.format(1301) + _COOKIE.format(1301),
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "Fast Open with cookie and data",
        "RFC 7413, 3.1: the SYN-ACK acknowledges the SYN and the data that came with it",
        _LISTEN.format(1302)
        + _COOKIE.format(1302)
        + """
        wire clear
        a connect c @b:1302 fast-open 500
        b accept L s
        b recv s 500 -> 500
        wire count out syn-data -> 1
        a info c -> timestamps sack window-scale fast-open
        """
        + _END,
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "Fast Open, and the server ends first",
        "RFC 7413, 4.2.2: it may send, and close, before the handshake is done",
        _LISTEN.format(1303)
        + _COOKIE.format(1303)
        + """
        wire lose out ack 1 2
        a connect c @b:1303 fast-open 500
        b accept L s
        b recv s 500 -> 500
        b send s 3000
        b close s
        a recv c 3001 -> 3000 end
        """,
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "Fast Open to a server that takes no data",
        "RFC 7413, 4.2.2: the SYN-ACK acknowledges the SYN alone, the data comes again",
        _LISTEN.format(1304)
        + _COOKIE.format(1304)
        + """
        b close L
        b listen L @b:1304
        wire clear
        a connect c @b:1304 fast-open 500
        b accept L s
        b recv s 500 -> 500
        wire count out syn-data -> 1
        """
        + _END,
        stacks=frozenset({("linux", "linux"), ("linux", "lwip")}),
    ),
    Situation(
        "Fast Open to a closed port",
        "RFC 9293, 3.10.7.1: the reset acknowledges all of what the SYN brought",
        _LISTEN.format(1305)
        + _COOKIE.format(1305)
        + """
        b close L
        wire clear
        a connect c @b:1305 fast-open 500 -> refused
        wire count out syn-data -> 1
        """,
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "Fast Open, and the SYN-ACK is lost",
        "RFC 7413, 4.1.2: the SYN goes again without data and option",
        _LISTEN.format(1306)
        + _COOKIE.format(1306)
        + """
        wire lose in syn 1
        a connect c @b:1306 fast-open 500
        b accept L s
        b recv s 500 -> 500
        """
        + _END,
        stacks=frozenset({("linux", "linux")}),
    ),
)
