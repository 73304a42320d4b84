"""TCP as it usually goes, and how it ends."""

from tests.oracles.stacks.script import Situation

_OPEN = """
    b listen L @b:{0}
    a connect c @b:{0}
    b accept L s
"""
_SAME_PORT = """
    b listen L @b:{0}
    a connect c @b:{0} from @a:{1}
    b accept L s
    a send c 1000
    b recv s 1000 -> 1000
"""
_BOTH_WAYS = """
    a send c 70000 &
    b recv s 70000 -> 70000
    a wait
    b send s 70000 &
    a recv c 70000 -> 70000
    b wait
"""
_AND_AGAIN = """
    a connect c @b:{0} from @a:{1}
    b accept L s
    a send c 1000
    b recv s 1000 -> 1000
    b send s 1000
    a recv c 1000 -> 1000
    a finish c
    b drain s -> end
    b close s
    a drain c -> end
"""
_END = """
    a close c
    b drain s -> end
    b close s
"""

SITUATIONS = (
    Situation(
        "a stream each way",
        "RFC 9293, 3.5 to 3.8: handshake, data, orderly end",
        _OPEN.format(1001) + _BOTH_WAYS + _END,
    ),
    Situation(
        "the server speaks first",
        "RFC 9293, 3.5: data of the passive side, before any of the active one",
        _OPEN.format(1002)
        + """
        b send s 3000
        a recv c 3000 -> 3000
        b close s
        a drain c -> end
        """,
    ),
    Situation(
        "a closed port",
        "RFC 9293, 3.10.7.1: a reset that acknowledges the SYN",
        "a connect c @b:1999 -> refused | reset",
    ),
    Situation(
        "a closed port that opens",
        "RFC 9293, 3.10.7.1: nothing that remembers the reset may stand in the way of a new SYN",
        "a connect c @b:1003 from @a:20003 -> refused | reset" + _SAME_PORT.format(1003, 20003),
    ),
    Situation(
        "half-close by the client",
        "RFC 9293, 3.6: who has sent FIN goes on receiving, for as long as the other sends",
        _OPEN.format(1004)
        + """
        a send c 2000
        a finish c
        b recv s 2001 -> 2000 end
        b send s 70000 &
        a recv c 70000 -> 70000
        b wait
        clock advance 50
        b send s 1000
        a recv c 1000 -> 1000
        clock advance 50
        b send s 1000
        a recv c 1000 -> 1000
        b close s
        a drain c -> end
        """,
    ),
    Situation(
        "half-close by the server",
        "RFC 9293, 3.6: the same, the other way round",
        _OPEN.format(1005)
        + """
        b send s 2000
        b finish s
        a recv c 2001 -> 2000 end
        a send c 70000 &
        b recv s 70000 -> 70000
        a wait
        clock advance 50
        a send c 1000
        b recv s 1000 -> 1000
        a close c
        b drain s -> end
        """,
    ),
    Situation(
        "half-close and an hour of silence",
        "RFC 9293, 3.6: a job is sent, its end said, and its result comes when it is done",
        _OPEN.format(1006)
        + """
        a send c 2000
        a finish c
        b recv s 2001 -> 2000 end
        b send s 1
        a recv c 1 -> 1
        clock advance 3600
        b send s 5000
        a recv c 5000 -> 5000
        b close s
        a drain c -> end
        """,
    ),
    Situation(
        "both close at once",
        "RFC 9293, 3.6, case 3: the FINs cross",
        _OPEN.format(1007)
        + """
        a send c 100
        b recv s 100 -> 100
        wire hold
        a finish c
        b finish s
        wire await out fin
        wire await in fin
        wire release
        a drain c -> end
        b drain s -> end
        """,
    ),
    Situation(
        "an abort",
        "RFC 9293, 3.10.5; SO_LINGER 0: a reset instead of FIN",
        _OPEN.format(1008)
        + """
        a send c 100
        b recv s 100 -> 100
        a abort c
        b recv s 1 -> 0 reset | 0 end
        """,
    ),
    Situation(
        "an abort of a full pipe",
        "RFC 9293, 3.10.5: a reset while data is on the way; then the same ports again",
        _SAME_PORT.format(1009, 20009)
        + """
        a fill c -> filled
        a abort c
        b drain s -> reset | end
        """
        + _AND_AGAIN.format(1009, 20009),
    ),
    Situation(
        "a reset overtakes data",
        "RFC 5961, 3.2: it is challenged, and the answer to the challenge ends the connection",
        _OPEN.format(1010)
        + """
        a send c 100
        b recv s 100 -> 100
        wire order out tcp 2 1
        a send c 100
        a abort c
        b drain s -> reset | end
        """,
    ),
    Situation(
        "a FIN overtakes data",
        "RFC 9293, 3.10.7.4: what is out of order waits; the FIN counts when its turn has come",
        _OPEN.format(1011)
        + """
        a send c 100
        b recv s 100 -> 100
        wire order out tcp 2 1
        a send c 1000
        a finish c
        b recv s 1001 -> 1000 end
        b send s 1000
        a recv c 1000 -> 1000
        """,
    ),
    Situation(
        "a port reused in the server's TIME-WAIT",
        "RFC 9293, 3.6.1: a new SYN with a higher number may open the connection anew",
        _SAME_PORT.format(1012, 20012)
        + """
        b close s
        a drain c -> end
        a close c
        """
        + _AND_AGAIN.format(1012, 20012),
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "a port reused in the client's TIME-WAIT",
        "RFC 6191: timestamps let the client itself use its port again",
        _SAME_PORT.format(1013, 20013)
        + """
        a close c
        b drain s -> end
        b close s
        a run sysctl -qw net.ipv4.tcp_tw_reuse=1 net.ipv4.tcp_tw_reuse_delay=1
        """
        + _AND_AGAIN.format(1013, 20013),
        undo="a run sysctl -qw net.ipv4.tcp_tw_reuse=2 net.ipv4.tcp_tw_reuse_delay=1000",
        stacks=frozenset({("linux", "linux"), ("linux", "gvisor")}),
    ),
    Situation(
        "both open at once",
        "RFC 9293, 3.5, figure 8: the SYNs cross, and one connection comes of it",
        """
        b listen L @b:1014
        a connect c @b:1014
        a abort c
        b close L
        wire hold
        a connect c @b:1015 from @a:1016 &
        b connect s @a:1016 from @b:1015 &
        wire await out syn 2
        wire await in syn 2
        wire release
        a wait
        b wait
        """
        + _BOTH_WAYS
        + _END,
    ),
    Situation(
        "urgent data",
        "RFC 9293, 3.8.5; RFC 6093: an octet out of band, and those in band around it",
        _OPEN.format(1017)
        + """
        a send c 100
        a urgent c
        b recv-urgent s
        a send c 100
        b recv s 200 -> 200
        """,
    ),
    Situation(
        "many octets each way",
        "offloads: frames of up to 64 kB between guests on one host, and their acknowledgements",
        _OPEN.format(1018)
        + """
        a send c 30000000 &
        b recv s 30000000 -> 30000000
        a wait
        b send s 30000000 &
        a recv c 30000000 -> 30000000
        b wait
        """
        + _END,
        stacks=frozenset({("linux", "linux"), ("linux", "gvisor"), ("gvisor", "linux")}),
    ),
    Situation(
        "BIG TCP",
        "Linux 5.19 and 6.3: frames above 64 kB within a host, whose length field says zero",
        "a big-frames eth0 185000"
        + _OPEN.format(1019)
        + """
        a send c 30000000 &
        b recv s 30000000 -> 30000000
        a wait
        """
        + _END,
        undo="a big-frames eth0 65536",
        stacks=frozenset({("linux", "linux")}),
    ),
    Situation(
        "explicit congestion notification",
        "RFC 3168, 6.1.1: flags in SYN and SYN-ACK that older filters took for an attack",
        """
        a run sysctl -qw net.ipv4.tcp_ecn=1
        b run sysctl -qw net.ipv4.tcp_ecn=1
        """
        + _OPEN.format(1020)
        + _BOTH_WAYS
        + """
        a info c -> timestamps sack window-scale ecn
        b info s -> timestamps sack window-scale ecn
        """,
        undo="""
        a run sysctl -qw net.ipv4.tcp_ecn=2
        b run sysctl -qw net.ipv4.tcp_ecn=2
        """,
    ),
    Situation(
        "multipath TCP",
        "RFC 8684: options that hold keys and data sequence numbers",
        """
        b listen L @b:1021 mptcp
        a connect c @b:1021 mptcp
        b accept L s
        """
        + _BOTH_WAYS
        + _END,
    ),
)
