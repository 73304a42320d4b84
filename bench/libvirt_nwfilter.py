"""The policy of the comparison as libvirt's nwfilter installs it: its own daemon writes it.

libvirtd makes the rules of one port, in a namespace that ends at once, and we save the rules that
it put into ebtables and iptables. All ports get the same with their own names, MACs and
addresses, loaded at one go: libvirtd itself, a command a rule, would need hours for 1,000.
The filter is `clean-traffic`, and IPv4 passes by `<tcp>` and `<udp>` rules, which libvirt tracks
by itself. `clean-traffic` passes no IPv6.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from peers.host import Host, standing
from peers.libvirt import libvirtd

from bench import rules
from bench.neutron_iptables import THROUGH_IPTABLES
from bench.world import Guest, World, interleave, other_guest
from vifguard.kernel.net import sysctl
from vifguard.lab.world import lab_run as lab
from vifguard.lab.world import netns

NAME = "libvirt nwfilter"

_SAMPLE = Guest("", "tapsample", "02:00:00:00:53:53", "10.53.53.53", "")
_FILTER = """\
<filter name='bench' chain='root'>
  <uuid>00000000-0000-4000-8000-00000000f117</uuid>
  <filterref filter='clean-traffic'/>
  <rule action='accept' direction='out' priority='500'><tcp/></rule>
  <rule action='accept' direction='out' priority='500'><udp/></rule>
  {incoming}
  <rule action='drop' direction='inout' priority='900'><all/></rule>
</filter>
"""
_RULE = (
    "<rule action='accept' direction='in' priority='500'>"
    "<{protocol} dstportstart='{port}'{remote}/></rule>"
)
_BINDING = """\
<filterbinding>
  <owner><name>guest{number}</name><uuid>00000000-0000-4000-8000-{number:012x}</uuid></owner>
  <portdev name='{tap}'/><mac address='{mac}'/>
  <filterref filter='bench'><parameter name='IP' value='{ip4}'/></filterref>
</filterbinding>
"""


@dataclass(frozen=True, slots=True)
class Written:
    """The rules that libvirt put into the kernel for the sample, as the tools save them."""

    ebtables: str
    iptables: str


def write(count: int) -> Written:
    """Ask libvirt for the rules of one port with a group of so many."""
    with _libvirtd() as (host, tell):
        netns.ip([f"link add {_SAMPLE.tap} type veth peer name far"], host.netns)
        tell("nwfilter-define", _filter(count))
        tell("nwfilter-binding-create", _binding(_SAMPLE, 1))
        return Written(host.run("ebtables-save"), host.run("iptables-save"))


def changes(ports: int, count: int) -> dict[str, float]:
    """Seconds for all ports, for one more, and for one more rule; it has no members."""
    guests = [replace(other_guest(number), tap=f"tap{number}") for number in range(ports)]
    seconds: dict[str, float] = {}
    with _libvirtd() as (host, tell):
        netns.ip(
            [f"link add {guest.tap} type veth peer name far{guest.tap}" for guest in guests],
            host.netns,
        )
        tell("nwfilter-define", _filter(count))
        took = [
            _timed(tell, "nwfilter-binding-create", _binding(guest, number))
            for number, guest in enumerate(guests, 1)
        ]
        seconds["all"], seconds["port"] = sum(took), took[-1]
        seconds["rule"] = _timed(tell, "nwfilter-define", _filter(count + 2))
    return seconds


@contextmanager
def _libvirtd() -> Iterator[tuple[Host, Callable[[str, str], None]]]:
    """A host of its own with libvirtd, and a function that passes it a document by a command."""
    with lab.run() as run, standing(run, "bench", iptables=True) as host:
        virsh = libvirtd(host)

        def tell(noun: str, text: str) -> None:
            path = host.directory / f"{noun}.xml"
            path.write_text(text)
            host.run(*virsh, noun, str(path))

        yield host, tell


def _timed(tell: Callable[[str, str], None], noun: str, text: str) -> float:
    began = time.perf_counter()
    tell(noun, text)
    return time.perf_counter() - began


def _binding(guest: Guest, number: int) -> str:
    return _BINDING.format(tap=guest.tap, mac=guest.mac, ip4=guest.ip4, number=number)


def _filter(count: int) -> str:
    opened = [each for each in rules.incoming(count) if each.version == 4]
    return _FILTER.format(incoming="\n  ".join(map(_rule, opened)))


def _rule(each: rules.Open) -> str:
    remote = "" if each.remote is None else f" srcipaddr='{each.remote.network_address}'"
    return _RULE.format(protocol=each.protocol_name, port=each.port, remote=remote)


def put(world: World, count: int) -> None:
    """Load, for every port of the world, the rules that libvirt wrote for one."""
    written = write(count)
    netns.within(world.name, lambda: sysctl.write("", THROUGH_IPTABLES))
    guests = {guest.tap: guest for guest in (world.a, world.b)}
    ports = [
        Guest("", name, *_who(guests.get(name) or other_guest(number)))
        for number, name in enumerate(world.interfaces())
    ]
    ports = interleave(ports[:2], ports[2:])
    netns.run(["ebtables-restore"], netns=world.name, stdin=_repeat(written.ebtables, ports))
    netns.run(["iptables-restore"], netns=world.name, stdin=_repeat(written.iptables, ports))


def _who(guest: Guest) -> tuple[str, str, str]:
    return guest.mac, guest.ip4, guest.ip6


def _repeat(saved: str, ports: Iterable[Guest]) -> str:
    """The saved text with every run of lines that name the sample written once a port."""
    ports, done = list(ports), []
    for names, lines in _runs(saved.splitlines()):
        if not names:
            done += lines
            continue
        block = "\n".join(lines)
        done += [_named(block, port) for port in ports]
    return "\n".join(done) + "\n"


def _runs(lines: Iterable[str]) -> list[tuple[bool, list[str]]]:
    """Consecutive lines that name the sample, and those that do not."""
    runs: list[tuple[bool, list[str]]] = []
    for line in lines:
        names = _SAMPLE.tap in line
        if not runs or runs[-1][0] != names:
            runs.append((names, []))
        runs[-1][1].append(line)
    return runs


def _named(block: str, port: Guest) -> str:
    block = block.replace(_SAMPLE.tap, port.tap).replace(_SAMPLE.ip4, port.ip4)
    short = ":".join(f"{int(part, 16):x}" for part in _SAMPLE.mac.split(":"))
    return re.sub(f"{_SAMPLE.mac}|{short}", port.mac, block, flags=re.IGNORECASE)
