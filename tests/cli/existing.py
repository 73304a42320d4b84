"""A host with a bridge of its own, its guests, and what is heard and seen of them."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from command import COMMAND
from host import LIMIT, Host

from vifguard.packet.build import arp, ethernet, ipv4, udp

GATEWAY = "192.168.50.1"
HOSTS_OWN = "192.168.50.2"
GUESTS = {"vm1": ("tvm1", "52:54:00:00:00:11", 11), "box": ("vethbox", "52:54:00:00:00:12", 12)}
"""Each guest's interface on the host, MAC, and the last octet of its address."""

BROADCAST, ROUTER = "ff:ff:ff:ff:ff:ff", "52:54:00:00:00:01"
LAST = ethernet("02:00:00:00:00:fe", BROADCAST, ipv4("0.0.0.0", "0.0.0.9", udp(9, 9)))

FORGE = """
import socket, sys, time
device, times, *frames = sys.argv[1:]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
    s.bind((device, 0))
    for number in range(int(times)):
        time.sleep(0.05 * (number > 0))
        for frame in frames:
            s.send(bytes.fromhex(frame))
"""
LISTEN = """
import socket, sys, time
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as s:
    s.bind(("eth0", 0))
    print("ready", flush=True)
    seen = set()
    while True:
        frame = s.recv(2048)
        if frame[:6] == b"\\xff" * 6 and frame not in seen:
            seen.add(frame)
            print(frame.hex(), flush=True)
"""


class Existing:
    """A host with `br0`, an uplink to a router, and guests in namespaces that nobody guards yet."""

    def __init__(self, machine: Host, guests: Mapping[str, tuple[str, str, int]] = GUESTS) -> None:
        self.machine = machine
        self.spaces: list[str] = []
        machine.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self._space("router", "eno1", ROUTER, 1)
        for name, (interface, mac, number) in guests.items():
            self._space(name, interface, mac, number)
        machine.ip("link", "set", "br0", "up")
        machine.ip("address", "add", f"{HOSTS_OWN}/24", "dev", "br0")

    def space(self, name: str) -> str:
        return f"{self.machine.name}-{name}"

    def inside(self, name: str, *command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.space(name), *map(str, command)],
            capture_output=True, text=True, check=False, timeout=LIMIT,
        )  # fmt: skip

    def _space(self, name: str, interface: str, mac: str, number: int) -> None:
        space = self.space(name)
        subprocess.run(["ip", "netns", "add", space], check=True)
        self.spaces.append(space)
        self.machine.ip(
            *("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", space)
        )
        self.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        self.inside(name, "ip", "link", "set", "eth0", "address", mac, "up")
        self.inside(name, "ip", "address", "add", f"192.168.50.{number}/24", "dev", "eth0")
        self.machine.ip("link", "set", interface, "master", "br0", "up")

    def pings(self, name: str, target: str = GATEWAY) -> bool:
        return self.inside(name, "ping", "-c1", "-W5", target).returncode == 0

    @contextmanager
    def pinging(self, name: str) -> Iterator[Callable[[], tuple[int, int]]]:
        """Pings from a guest to the router all the while; then how many went out and came back."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.space(name), "ping", "-i0.02", "-q", GATEWAY],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None

        def counted() -> tuple[int, int]:
            process.send_signal(2)
            text = process.communicate(timeout=LIMIT)[0]
            found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
            assert found, text
            return int(found[1]), int(found[2])

        try:
            yield counted
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def close(self) -> None:
        for space in self.spaces:
            subprocess.run(["ip", "netns", "delete", space], check=True)


def snapshot(machine: Host) -> dict[str, str]:
    """Everything that an operator would look at: links, addresses, sysctls, filters."""
    links = json.loads(machine.ip("-j", "-d", "link", "show"))
    for link in links:
        for info in (link, link.get("linkinfo", {}).get("info_data", {})):
            for timer in ("hello_timer", "tcn_timer", "topology_change_timer", "gc_timer",
                          "fdb_n_learned", "min_mtu", "max_mtu"):  # fmt: skip
                info.pop(timer, None)
        data = link.get("linkinfo", {}).get("info_slave_data", {})
        for timer in ("message_age_timer", "forward_delay_timer", "hold_timer"):
            data.pop(timer, None)
    names = [link["ifname"] for link in links]
    sysctls = machine.run(
        "sysctl", "-a", "-r", rf"^net\.ipv[46]\.conf\.({'|'.join(names)})\."
    ).stdout
    return {
        "links": json.dumps(links, indent=1, sort_keys=True),
        "addresses": machine.ip("-o", "address", "show", "scope", "global"),
        "sysctls": sysctls,
        "nft": machine.run("nft", "list", "ruleset").stdout,
        "tc": "".join(machine.run("tc", "qdisc", "show", "dev", name).stdout for name in names),
    }


def forged(mac: str, victim: str = GATEWAY, victim_mac: str = ROUTER) -> list[bytes]:
    """What a hostile guest would send: another's address by ARP and IP, and another's MAC."""
    return [
        ethernet(mac, BROADCAST, arp(mac, victim, op=2, target_ip=victim)),
        ethernet(mac, BROADCAST, ipv4(victim, "255.255.255.255", udp(7, 7))),
        ethernet(victim_mac, BROADCAST, ipv4(victim, "255.255.255.255", udp(7, 7))),
    ]


def harmless(mac: str) -> list[bytes]:
    """The same with what is nobody's: no guest loses its network, though no guard is there."""
    return forged(mac, "192.168.50.99", "02:00:00:00:66:66")


def command(device: str, frames: list[bytes], times: int = 1) -> list[str]:
    return ["python3", "-c", FORGE, device, str(times), *(frame.hex() for frame in frames)]


@contextmanager
def router_hears(existing: Existing) -> Iterator[Callable[[], set[bytes]]]:
    """What has arrived at the router, once a frame that the host itself sends behind it has."""
    process = subprocess.Popen(
        ["ip", "netns", "exec", existing.space("router"), "python3", "-c", LISTEN],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    def heard() -> set[bytes]:
        assert process.stdout is not None
        existing.machine.run(*command("br0", [LAST]))
        frames = iter(lambda: bytes.fromhex(process.stdout.readline()), LAST)
        return set(frames)

    try:
        yield heard
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def adopt(existing: Existing, *options: object) -> dict[str, Any]:
    machine = existing.machine
    arguments = ("--bridge", "br0", "--host", machine.name, "--trust", "eno1", "--json", *options)
    done = subprocess.run(
        machine.inside(COMMAND, "host", "adopt", *arguments),
        capture_output=True, text=True, check=True, timeout=LIMIT,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def bridges(existing: Existing) -> list[dict[str, Any]]:
    shown = existing.machine.shell.json("host", "show", existing.machine.name)
    found: list[dict[str, Any]] = shown["bridges"]
    return found
