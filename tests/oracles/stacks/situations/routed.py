"""Through a router beyond the uplink: paths that are narrow, short of hops or closed."""

from tests.oracles.stacks.script import Situation

LINUX = frozenset({("linux", "linux")})
_LEARNED = "a until ip route get @far | grep -q 'mtu 1400'"
_FORGET = "a run ip route flush cache; ip -6 route flush cache"
_CLAMP = (
    "router run nft add table inet clamp { chain f { type filter hook forward priority 0 \\; "
    "tcp flags syn tcp option maxseg size set rt mtu \\; } \\; }"
)

SITUATIONS = (
    Situation(
        "out through a narrow link",
        "RFC 1191, RFC 8201: the router says what fits, and the sender sends that",
        """
        far listen L @far:1501
        a connect c @far:1501
        far accept L s
        a send c 200000 &
        far recv s 200000 -> 200000
        a wait
        """
        + _LEARNED,
        undo=_FORGET,
        stacks=LINUX,
    ),
    Situation(
        "a datagram that does not fit",
        "RFC 1191, RFC 8201: the error quotes a datagram, its sender learns the MTU",
        """
        a bind u @a:21502
        a watch-errors u
        a sendto u @far:1502 1450
        a error u -> too-big 3/4 1400 by @router | too-big 2/0 1400 by @router
        """,
        undo=_FORGET,
        stacks=LINUX,
    ),
    Situation(
        "fragments that do not fit",
        "RFC 8201, 4: Packet Too Big quotes a first fragment; RFC 4890, 4.3.1: it must pass",
        """
        a bind u @a:21503
        far bind v @far:1503
        a sendto u @far:1503 4000
        """
        + _LEARNED
        + """
        a sendto u @far:1503 4000
        far recvfrom v -> 4000 from @a:21503
        """,
        undo=_FORGET,
        families=(6,),
        stacks=LINUX,
    ),
    Situation(
        "in through a narrow link",
        "RFC 9293, 3.7.1: the SYN of the far host says what it can take",
        """
        a listen L @a:1504
        far connect c @a:1504
        a accept L s
        a send s 200000 &
        far recv c 200000 -> 200000
        a wait
        far send c 200000 &
        a recv s 200000 -> 200000
        far wait
        far close c
        a drain s -> end
        """,
        stacks=LINUX,
    ),
    Situation(
        "a router that clamps",
        "RFC 9293, 3.7.1: the MSS option is rewritten on the way, with its checksum",
        _CLAMP
        + """
        far listen L @far:1505
        a connect c @far:1505
        far accept L s
        a send c 200000 &
        far recv s 200000 -> 200000
        a wait
        """,
        undo="router run nft delete table inet clamp",
        stacks=LINUX,
    ),
    Situation(
        "out of hops",
        "RFC 792; RFC 4443, 3.3: time exceeded comes from a router, not from the peer",
        """
        a bind u @a:21506
        a watch-errors u
        a ttl u 1
        a sendto u @far:1506 100
        a error u -> unreachable 11/0 by @router | unreachable 3/0 by @router
        """,
        stacks=LINUX,
    ),
    Situation(
        "no route",
        "RFC 792; RFC 4443, 3.1: the router knows no way",
        """
        a bind u @a:21507
        a watch-errors u
        a sendto u @unrouted:1507 100
        a error u -> unreachable 3/0 by @router | unreachable 1/0 by @router
        """,
        stacks=LINUX,
    ),
    Situation(
        "a connection that is prohibited",
        "RFC 1122, 4.2.3.9; RFC 5461: an ICMP error about a SYN ends the attempt at once",
        """
        router run ip route add prohibit 10.6.0.0/16
        router run ip -6 route add prohibit fd06::/64
        a connect c @prohibited:1508 -> prohibited | unreachable
        """,
        undo="""
        router run ip route del prohibit 10.6.0.0/16
        router run ip -6 route del prohibit fd06::/64
        """,
        stacks=LINUX,
    ),
    Situation(
        "traceroute",
        "RFC 1393 is history; what programs do is UDP with few hops",
        "a run busybox traceroute{v6} -n -q 1 -w 2 -m 4 -p 1600 @far 2>&1 | grep -q '^ *2 *@far '",
        stacks=LINUX,
    ),
    Situation(
        "a far client and an answer from a service",
        "RFC 768: an exchange that the router's side opened",
        """
        a bind u @a:1509
        far bind v @far:21509
        far sendto v @a:1509 1000
        a recvfrom u -> 1000 from @far:21509
        a sendto u @far:21509 1200
        far recvfrom v -> 1200 from @a:1509
        """,
        stacks=LINUX,
    ),
)
