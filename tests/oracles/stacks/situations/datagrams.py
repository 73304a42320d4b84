"""UDP, its fragments and its errors; echo; multicast."""

from itertools import permutations

from tests.oracles.stacks.script import Situation

_BIND = """
    a bind u @a:{0}
    b bind v @b:{1}
"""
_GROUPS = {4: "239.1.2.3", 6: "ff12::1:3"}

SITUATIONS = (
    Situation(
        "a datagram and its answer",
        "RFC 768: the answer comes from where the question went",
        _BIND.format(21401, 1401)
        + """
        a sendto u @b:1401 1000
        b recvfrom v -> 1000 from @a:21401
        b sendto v @a:21401 1200
        a recvfrom u -> 1200 from @b:1401
        """,
    ),
    Situation(
        "a datagram without data",
        "RFC 768: a length of eight is legal",
        _BIND.format(21402, 1402)
        + """
        a sendto u @b:1402 0
        b recvfrom v -> 0 from @a:21402
        """,
        stacks=frozenset({("linux", "linux"), ("gvisor", "linux"), ("linux", "gvisor")}),
    ),
    Situation(
        "an answer after twenty seconds",
        "RFC 4787, REQ-5, and what resolvers wait",
        _BIND.format(21403, 1403)
        + """
        a sendto u @b:1403 100
        b recvfrom v -> 100 from @a:21403
        clock advance 20
        b sendto v @a:21403 100
        a recvfrom u -> 100 from @b:1403
        clock advance 100
        b sendto v @a:21403 100
        a recvfrom u -> 100 from @b:1403
        """,
    ),
    Situation(
        "large datagrams",
        "RFC 791, 3.2; RFC 8200, 4.5: fragments, both ways",
        _BIND.format(21404, 1404)
        + """
        a sendto u @b:1404 8000
        b recvfrom v -> 8000 from @a:21404
        b sendto v @a:21404 8000
        a recvfrom u -> 8000 from @b:1404
        """,
    ),
    Situation(
        "fragments in their order",
        "RFC 791, 3.2; RFC 8200, 4.5: what the other orders are compared with",
        _BIND.format(21405, 1405)
        + """
        a sendto u @b:1405 4000
        b recvfrom v -> 4000 from @a:21405
        """,
    ),
    *(
        Situation(
            f"fragments in the order {' '.join(order)}",
            "RFC 791, 3.2; RFC 8200, 4.5: fragments may arrive in any order",
            _BIND.format(21406, 1406)
            + f"""
            a sendto u @b:1406 10
            b recvfrom v -> 10 from @a:21406
            wire order out fragment {" ".join(order)}
            a sendto u @b:1406 4000
            b recvfrom v -> 4000 from @a:21406
            """,
            slow=order[0] != "2",
        )
        for order in permutations("123")
        if order != ("1", "2", "3")
    ),
    Situation(
        "a closed port of UDP",
        "RFC 1122, 4.1.3.1; RFC 4443, 3.1: port unreachable reaches a connected socket",
        """
        a bind u @a:21407
        a pair u @b:1999
        a write u 100
        a error u -> refused
        """,
    ),
    Situation(
        "a closed port of UDP, quoted",
        "RFC 1812, 4.3.2.3: the error quotes what it is about, and names who sent it",
        """
        a bind u @a:21408
        a watch-errors u
        a sendto u @b:1999 100
        a error u -> refused 3/3 by @b | refused 1/4 by @b
        """,
    ),
    Situation(
        "echo each way",
        "RFC 792; RFC 4443, 4: request and reply, and such as are fragmented",
        """
        a ping @b 56
        b ping @a 56
        a ping @b 4000
        b ping @a 4000
        """,
    ),
    Situation(
        "echo to a stack",
        "RFC 1122, 3.2.2.6: every host answers",
        """
        a ping @b 56
        a ping @b 1200
        """,
        stacks=frozenset({("linux", "lwip"), ("linux", "pytcp"), ("linux", "gvisor")}),
    ),
    *(
        Situation(
            f"multicast of IPv{version}",
            "RFC 1112, RFC 8200: one sends, who has joined receives",
            f"""
            b bind v {"0.0.0.0" if version == 4 else "[::]"}:1409
            b join v {group}
            a bind u @a:21409
            a sendto u {group if version == 4 else f"[{group}%eth0]"}:1409 700
            b recvfrom v -> 700 from @a:21409
            """,
            families=(version,),
            stacks=frozenset({("linux", "linux")}),
        )
        for version, group in _GROUPS.items()
    ),
)
