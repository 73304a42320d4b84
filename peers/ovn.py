"""OVN: a logical switch with `port_security`, on one chassis with userspace Open vSwitch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.host import Host, await_, standing
from peers.peer import Peer, package
from peers.segment import (
    EVERYTHING,
    ROUTED4,
    ROUTED6,
    UPLINK,
    VIP4,
    VIP6,
    VMAC4,
    VMAC6,
    Guest,
    Segment,
    segment,
)
from vifguard.lab.audit.site import Site
from vifguard.lab.world import netns
from vifguard.lab.world.lab_run import Run
from vifguard.model.guard import Guard

_SCHEMAS = {
    "nb": Path("/usr/share/ovn/ovn-nb.ovsschema"),
    "sb": Path("/usr/share/ovn/ovn-sb.ovsschema"),
    "ovs": Path("/usr/share/openvswitch/vswitch.ovsschema"),
}


@contextmanager
def up(run: Run) -> Iterator[Site]:
    """Both databases of OVN, a chassis, and three logical ports."""
    members = segment(run, "ovn")
    with standing(run, "ovn") as host:
        members.plug(host.netns)
        for guest in (*members.guests, members.outside):
            # The userspace datapath reads raw frames: a checksum left to the device is bad.
            host.run("ethtool", "-K", guest.tap, "tx", "off")
            netns.run(["ethtool", "-K", "eth0", "tx", "off"], netns=guest.netns)
        chassis = _Chassis(host)
        chassis.lead_out()
        for guest in members.guests:
            chassis.plug(guest, *(_shared(guest) if guest is members.attacker else ()))
        chassis.settle(members)
        yield members.site("OVN port_security", EVERYTHING)


def _shared(guest: Guest) -> tuple[str, str, str]:
    """Further elements of port_security: shared and routed addresses, with each MAC that uses them.

    A virtual router advertises itself from its virtual MAC and its own address (RFC 9568).
    """
    return (
        f"{guest.mac} {VIP4} {VIP6} {ROUTED4} {ROUTED6}",
        f"{VMAC4} {VIP4} {guest.ip4}",
        f"{VMAC6} {VIP6} {guest.ip6} {guest.mac.link_local}",
    )


class _Chassis:
    """Everything that OVN is, on one host: northbound, southbound, switch and controller."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._run = host.folder("ovn")
        for name, schema in _SCHEMAS.items():
            self._database(name, schema)
        self.nbctl("init")
        self._start("ovn-northd", f"--ovnnb-db={self._at('nb')}", f"--ovnsb-db={self._at('sb')}")
        self._start("ovs-vswitchd", self._at("ovs"), "--disable-system")
        self.vsctl("--no-wait", "init")
        # The integration bridge is there and tells the controller where the databases are;
        # a chassis must name an encapsulation, though nothing here leaves the host.
        self.vsctl(
            "add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev",
            "fail_mode=secure", "--", "set", "Open_vSwitch", ".",
            "external_ids:system-id=audited", f"external_ids:ovn-remote={self._at('sb')}",
            "external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1",
            "external_ids:ovn-bridge-datapath-type=netdev",
        )  # fmt: skip
        self._start("ovn-controller", self._at("ovs"))
        self.nbctl("ls-add", "segment")

    def nbctl(self, *command: str) -> str:
        """The output of a command to the northbound database."""
        return self._host.run("ovn-nbctl", f"--db={self._at('nb')}", "--timeout=30", *command)

    def vsctl(self, *command: str) -> str:
        """The output of a command to the switch."""
        return self._host.run("ovs-vsctl", f"--db={self._at('ovs')}", "--timeout=30", *command)

    def lead_out(self) -> None:
        """An uplink of the segment, through a bridge of its own."""
        self.vsctl(
            "add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev",
            "--", "add-port", "br-ex", UPLINK, "--", "set", "Open_vSwitch", ".",
            "external_ids:ovn-bridge-mappings=physnet1:br-ex",
        )  # fmt: skip
        self.nbctl(
            "lsp-add", "segment", "outside", "--", "lsp-set-type", "outside", "localnet",
            "--", "lsp-set-addresses", "outside", "unknown",
            "--", "lsp-set-options", "outside", "network_name=physnet1",
        )  # fmt: skip

    def plug(self, guest: Guest, *shared: str) -> None:
        """Add a logical port with the guest's addresses and the shared ones, and its interface."""
        identity = " ".join((str(guest.mac), *guest.addresses))
        self.nbctl(
            "lsp-add", "segment", guest.name,
            "--", "lsp-set-addresses", guest.name, identity,
            "--", "lsp-set-port-security", guest.name, identity, *shared,
        )  # fmt: skip
        self.vsctl(
            "add-port", "br-int", guest.tap, "--", "set", "Interface", guest.tap,
            f"external_ids:iface-id={guest.name}",
        )  # fmt: skip

    def settle(self, members: Segment) -> None:
        """Wait until every port is bound and its flows are in."""
        for guest in members.guests:
            self.nbctl("wait-until", "Logical_Switch_Port", guest.name, "up=true")
        self.nbctl("--wait=hv", "sync")

    def _database(self, name: str, schema: Path) -> None:
        file, socket = self._run / f"{name}.db", self._run / f"{name}.sock"
        self._host.run("ovsdb-tool", "create", str(file), str(schema))
        self._start("ovsdb-server", str(file), f"--remote=punix:{socket}", control=f"ovsdb-{name}")
        await_(f"the database {name}", socket.exists)

    def _at(self, name: str) -> str:
        return f"unix:{self._run / name}.sock"

    def _start(self, *command: str, control: str = "") -> None:
        environment = {
            f"{prefix}_{kind}DIR": str(self._run)
            for prefix in ("OVS", "OVN")
            for kind in ("RUN", "LOG", "DB")
        }
        unixctl = self._run / f"{control or command[0]}.ctl"
        options = () if command[0] == "ovn-controller" else (f"--unixctl={unixctl}",)
        self._host.start(*command, *options, environment=environment)


PEER = Peer(
    key="ovn",
    name="OVN `port_security`",
    versions=lambda: f"{package('ovn-central')}, {package('openvswitch-switch')}",
    configuration=(
        "a logical switch port with `addresses` and `port_security` set to the guest's MAC and"
        " both addresses, and whatever it shares and routes; userspace datapath"
    ),
    sources=("man 5 ovn-nb, Logical_Switch_Port, port_security",),
    up=up,
    promises={
        Guard.MAC: "sends from, and receives to, its own MAC; that MAC inside ARP and ND",
        Guard.ARP: "ARP only from its IPv4 address",
        Guard.ND: "solicitations and advertisements only from its own address or ::",
        Guard.IP: "sends from, and receives to, its own addresses",
    },
    programs=("ovn-northd", "ovn-controller", "ovs-vswitchd", "ovsdb-server", "ethtool"),
    notes=(
        (
            "An operator can have more of OVN by writing ACLs, also against DHCP servers and router"
            " advertisements; `port_security` alone is judged."
        ),
        (
            "The switch itself answers ARP and neighbour solicitations for addresses that it"
            " knows; such requests count as delivered."
        ),
    ),
)
