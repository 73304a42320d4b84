"""S5, machines moved from a data centre: a network without subnet, its own DHCP server.

The provider does not know which address a machine uses there. The same server, on the shared
network, reaches nobody.
"""

from __future__ import annotations

import subprocess
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_interface
from pathlib import Path

from vifguard.kernel.net import sysctl
from vifguard.lab.play.scenario_rows import records_of
from vifguard.lab.result.checks import Checks, until
from vifguard.lab.result.finding import Tell
from vifguard.lab.world import netns
from vifguard.lab.world.daemon import Daemon
from vifguard.lab.world.guest_netns import give
from vifguard.lab.world.lab_run import Run
from vifguard.lab.world.traffic import pings
from vifguard.lab.world.world import Guest, World, standing
from vifguard.lab.world.world_plan import GuestPlan, NetworkPlan, NicPlan, WorldPlan
from vifguard.model.guard import GUARDS_OF, Profile

NAME = "s5"
TITLE = "a project's own network and DHCP server, no subnet of ours"

_RED, _BLUE = "red", "blue"
_SERVER4 = "10.5.0.1/24"
_SERVER6 = "fd05::1/64"
_RANGE = "10.5.0.100,10.5.0.150,255.255.255.0,1h"

PLAN = WorldPlan(
    NAME,
    networks=(
        NetworkPlan("s", ("203.0.113.0/24", "2001:db8:5::/64"), uplink=True),
        NetworkPlan("own", project=_RED),
    ),
    guests=(
        GuestPlan("server", _RED, (NicPlan("own"), NicPlan("s"))),
        GuestPlan("client-1", _RED, (NicPlan("own"),)),
        GuestPlan("client-2", _RED, (NicPlan("own"),)),
        GuestPlan("stranger", _BLUE, (NicPlan("s"),)),
    ),
)

_HOOK = """#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/$mask" dev "$interface" && echo "$ip" > "$lease_file"
exit 0
"""


def play(run: Run, tell: Tell) -> None:
    """Lease addresses on the own network; try the same on the shared one."""
    story = Checks(NAME, tell)
    with standing(run, PLAN) as world:
        server = world.guests["server"]
        give(server.nic.interface, [ip_interface(_SERVER4), ip_interface(_SERVER6)])
        hook = run.directory / "udhcpc-hook"
        hook.write_text(_HOOK)
        hook.chmod(0o700)
        story.check(
            "guards of a port whose addresses nobody told us",
            sorted(guard.value for guard in GUARDS_OF[Profile.MAC]),
            sorted(server.nic.port["effective_guards"]),
        )
        with _dnsmasq(world, server) as dnsmasq:
            leases = [_lease(story, world.guests[name], hook) for name in ("client-1", "client-2")]
            dnsmasq.must_run()
            _talk(story, world, leases)
            _advertised(story, world.guests["client-2"])
            _refused(story, world, hook)
            dnsmasq.must_run()


def _dnsmasq(world: World, server: Guest) -> Daemon:
    """The project's server: it would serve the shared network too, if it could."""
    shared = server.nics[1].addresses[4]
    command = (
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        "--interface=eth0", "--interface=eth1", "--except-interface=lo", "--bind-interfaces",
        f"--dhcp-range={_RANGE}", f"--dhcp-range={shared + 100},{shared + 120},255.255.255.0,1h",
        "--enable-ra", "--dhcp-range=fd05::,ra-only", "--dhcp-authoritative", "--no-ping",
        f"--dhcp-leasefile={world.run.directory / 'leases'}",
        f"--pid-file={world.run.directory / 'dnsmasq.pid'}", "--log-facility=-",
    )  # fmt: skip
    daemon = Daemon(server.netns, command, world.run.directory / "dnsmasq.log")

    def serves() -> bool:
        daemon.must_run()
        return "DHCP" in daemon.said

    until("dnsmasq serves", serves)
    return daemon


def _udhcpc(guest: Guest, hook: Path, tries: int) -> tuple[list[str], Path]:
    lease = hook.with_name(f"lease-{guest.name}")
    command = [
        "udhcpc", "-i", "eth0", "-n", "-q", "-f", f"-t{tries}", "-T1", "-s", str(hook),
    ]  # fmt: skip
    return ["ip", "netns", "exec", guest.netns, "env", f"lease_file={lease}", *command], lease


def _lease(story: Checks, guest: Guest, hook: Path) -> IPv4Address | None:
    """A lease for a real client; its address, None where it got none."""
    command, lease = _udhcpc(guest, hook, tries=10)
    subprocess.run(command, capture_output=True, check=False)
    address = IPv4Address(lease.read_text().strip()) if lease.exists() else None
    in_range = address is not None and address in ip_interface(_SERVER4).network
    story.check(
        f"{guest.name} leases an address from the project's own server",
        expected="yes",
        seen="yes" if in_range else "no",
        why=str(address or ""),
    )
    return address


def _talk(story: Checks, world: World, leases: list[IPv4Address | None]) -> None:
    first, second = world.guests["client-1"], leases[1]
    if second is not None:
        story.must(
            "the clients talk with their leases", "answered", partial(pings, first.netns, second)
        )


def _advertised(story: Checks, guest: Guest) -> None:
    """The project's own router advertisements configure a guest that accepts them."""
    netns.within(guest.netns, lambda: sysctl.write("eth0", {"ipv6/conf/{}/accept_ra": "2"}))
    network = IPv6Network("fd05::/64")

    def configured() -> bool:
        text = netns.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0"], netns=guest.netns)
        words = (word.partition("/")[0] for word in text.split() if ":" in word and "/" in word)
        return any(IPv6Address(word) in network for word in words)

    story.must(
        f"{guest.name} configures itself by the project's own advertisements",
        "an address in fd05::/64",
        configured,
    )


def _refused(story: Checks, world: World, hook: Path) -> None:
    """A guest of the shared network asks; the answer dies at the server's port."""
    stranger, port = world.guests["stranger"], world.guests["server"].nics[1]
    netns.ip(["addr flush dev eth0 scope global"], stranger.netns)
    command, lease = _udhcpc(stranger, hook, tries=2)
    asking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    records = records_of(world)
    story.must(
        "on the shared network its offer dies",
        "drop dhcp",
        lambda: records.counts(port.port_id)["dhcp"],
    )
    story.check(
        "whoever asked there has no lease",
        expected="none",
        seen="none" if asking.wait() != 0 and not lease.exists() else "a lease",
    )
