"""Neighbours: resolution, addresses, membership, and who hands them out."""

from tests.oracles.stacks.script import Situation
from tests.oracles.stacks.situations.routed import LINUX

_MEMBER = "router until bridge mdb show | grep -q {0}"
_SNOOPING = "link set eth0 type bridge mcast_snooping"
_SERVE = (
    "router run dnsmasq -C /dev/null -p 0 -i eth0 -z --pid-file={pid} "
    "--dhcp-leasefile={pid}.leases --dhcp-range="
)
_STOP = "router run kill $(cat {pid}); rm -f {pid} {pid}.leases"

SITUATIONS = (
    Situation(
        "resolution each way",
        "RFC 826; RFC 4861, 7.2: question and answer, asked by either side",
        """
        a run ip neigh flush dev eth0
        b run ip neigh flush dev eth0
        a ping @b 56
        a run ip neigh flush dev eth0
        b run ip neigh flush dev eth0
        b ping @a 56
        """,
        stacks=LINUX,
    ),
    Situation(
        "probes of a neighbour that is known",
        "RFC 4861, 7.3; RFC 1122, 2.3.2.1: unicast questions",
        """
        a ping @b 56
        a run ip neigh change @b dev eth0 nud probe
        a until ip neigh show @b | grep -q REACHABLE
        """,
        stacks=LINUX,
    ),
    Situation(
        "duplicate address detection",
        "RFC 4862, 5.4: an address is used when nobody has objected",
        """
        a run sysctl -qw net.ipv6.conf.eth0.accept_dad=1
        a run ip -6 addr del @a/64 dev eth0; ip -6 addr add @a/64 dev eth0
        a until ! ip -6 addr show dev eth0 to @a | grep -q tentative
        a run ! ip -6 addr show dev eth0 to @a | grep -q dadfailed
        b ping @a 56
        """,
        undo="a run sysctl -qw net.ipv6.conf.eth0.accept_dad=0",
        families=(6,),
        stacks=LINUX,
    ),
    Situation(
        "a connection of link-local addresses",
        "RFC 4291, 2.5.6: every interface has one",
        """
        b listen L [@b_link_local%eth0]:1601
        a connect c [@b_link_local%eth0]:1601
        b accept L s
        a send c 5000
        b recv s 5000 -> 5000
        """,
        families=(6,),
        stacks=LINUX,
    ),
    Situation(
        "a link-local address that is opaque",
        "RFC 7217, RFC 8064: what desktops, Windows and OpenBSD form by default",
        """
        a run sysctl -qw net.ipv6.conf.eth0.accept_dad=1
        a run ip -6 addr flush dev eth0 scope link; ip link set eth0 addrgenmode random
        a run ip link set eth0 down; ip link set eth0 up
        a until ip -6 addr show dev eth0 scope link -tentative | grep -q inet6
        a ping @b_link_local%eth0 56
        """,
        undo="""
        a run ip link set eth0 addrgenmode eui64; ip link set eth0 down; ip link set eth0 up
        a run sysctl -qw net.ipv6.conf.eth0.accept_dad=0
        a run ip -6 addr replace @a6/64 dev eth0 nodad
        a run ip route replace default via @router4
        a run ip -6 route replace default via @router6
        """,
        families=(6,),
        stacks=LINUX,
    ),
    *(
        Situation(
            f"joining a group of IPv{version}",
            why,
            f"""
            router run ip {_SNOOPING} 1
            a bind u {"0.0.0.0" if version == 4 else "[::]"}:1602
            a join u {group}
            {_MEMBER.format(group)}
            """,
            undo=f"router run ip {_SNOOPING} 0",
            families=(version,),
            stacks=LINUX,
        )
        for version, group, why in (
            (
                4,
                "239.1.2.4",
                "RFC 9776, 5.1: a report that nobody asked for, so that switches forward",
            ),
            (
                6,
                "ff05::1:4",
                "RFC 9777, 6.1: a report that nobody asked for, so that switches forward",
            ),
        )
    ),
    *(
        Situation(
            f"a query for members of IPv{version}",
            why,
            f"""
            a bind u {"0.0.0.0" if version == 4 else "[::]"}:1603
            a join u {group}
            router run ip {_SNOOPING} 1 mcast_query_response_interval 20
            router run ip link set eth0 type bridge mcast_querier 1
            {_MEMBER.format(group)}
            """,
            undo=f"router run ip {_SNOOPING} 0 mcast_querier 0",
            families=(version,),
            stacks=LINUX,
        )
        for version, group, why in (
            (4, "239.1.2.5", "RFC 9776, 5.2: who does not answer a query is forgotten"),
            (6, "ff05::1:5", "RFC 9777, 6.2: who does not answer a query is forgotten"),
        )
    ),
    Situation(
        "a lease by DHCP",
        "RFC 2131: discover, offer, request, acknowledgement; dnsmasq and udhcpc",
        "a run ip addr del @a/24 dev eth0\n"
        + _SERVE
        + """10.9.0.200,10.9.0.210 --dhcp-host={a_mac},@a4
        a run busybox udhcpc -fnq -i eth0 -s /bin/true 2>&1 | grep -q 'lease of @a4 obtained'
        """,
        undo=_STOP
        + """
        a run ip addr replace @a/24 dev eth0
        a run ip route replace default via @router
        """,
        families=(4,),
        stacks=LINUX,
    ),
    Situation(
        "a file by TFTP",
        "RFC 1350, 4: the answer comes from another port than the one that was asked",
        """
        router run mkdir {pid}.files; echo boot > {pid}.files/boot
        router run dnsmasq -C /dev/null -p 0 -i eth0 -z --pid-file={pid} \
            -u root --enable-tftp --tftp-root={pid}.files
        a run timeout 3 busybox tftp -g -r boot -l {pid}.got @router
        a run grep -q boot {pid}.got
        """,
        undo="router run kill $(cat {pid}); rm -rf {pid} {pid}.files {pid}.got",
        families=(4,),
        stacks=LINUX,
    ),
    Situation(
        "a lease by DHCPv6",
        "RFC 9915: solicit, advertise, request, reply; dnsmasq and dhclient",
        _SERVE
        + """fd09::200,fd09::210 --dhcp-host={a_mac},[@a6]
        a start dhclient -6 -1 -d -D LL -sf /bin/true --no-pid -lf {pid}.lease eth0
        a until grep -q 'iaaddr @a6 ' {pid}.lease
        """,
        undo="a run rm {pid}.lease\n" + _STOP,
        families=(6,),
        stacks=LINUX,
    ),
)
