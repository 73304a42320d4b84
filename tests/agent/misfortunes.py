"""What somebody does to a living agent's host, as data; docs/misfortune.md has the same table."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.agent.host import Host
from tests.agent.netns import within
from tests.agent.ports import bridge_of, tap_of

from vifguard.enforce.ebpf.driver import OBJECT
from vifguard.enforce.ebpf.maps.connection_table import buckets_for, memory, usual
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.bpf_syscall import Map, Program
from vifguard.kernel.bpf.elf import ObjectFile
from vifguard.kernel.bpf.tcx import AttachType

PASS = bytes.fromhex("b4000000ffffffff9500000000000000")
"""`w0 = -1; exit`: a program that leaves the frame to the next one."""

BRIDGE, TAP = bridge_of(1), tap_of(1)
ADOPTED = "br0"
AWAITED = 5
"""A port whose interface is yet to come."""


@dataclass(frozen=True, slots=True)
class Misfortune:
    """One thing that somebody does to a host where guest 1 is guarded.

    `what` and `cause` as docs/misfortune.md says them; `cause` as it is counted. `said`: what
    port 1 says of it, empty where nothing of it is that port's. `opens`: what guards the port is
    gone itself, so that until it is put back nothing guards it.
    """

    what: str
    cause: str
    happen: Callable[[Host], object]
    said: str = ""
    opens: bool = False

    @property
    def name(self) -> str:
        """What pytest calls it."""
        if not isinstance(self.happen, partial):
            return getattr(self.happen, "__name__", "").strip("_")
        words = [getattr(v, "name", v) for v in self.happen.keywords.values()]
        given = (v if isinstance(v, str) else " ".join(v) for v in words)
        return " ".join([self.happen.func.__name__.strip("_"), *given])


def index(host: Host) -> int:
    return host.links()[TAP].index


def hooks(host: Host) -> list[tuple[int, ...]]:
    """The programs at the ingress and egress of guest 1's interface, in their order."""
    at = index(host)
    found: list[tuple[int, ...]] = within(
        host.name,
        lambda: [tuple(x.program for x in tcx.attached(at, where)) for where in AttachType],
    )
    return found


def maps(host: Host) -> dict[str, Map]:
    """The maps that the agent pinned."""
    pinned = {path.name: path for path in host.bpf_dir.glob("*-*/*")}
    rooms = {"flows": buckets_for(usual(memory()))}
    specs = ObjectFile(OBJECT.read_bytes(), sizes=rooms).maps
    return {name: Map.open(pinned[name], spec) for name, spec in specs.items()}


def _pins(host: Host, pattern: str) -> None:
    (path,) = host.bpf_dir.glob(pattern)
    shutil.rmtree(path)


def _name(host: Host) -> None:
    (host.bpf_dir / "pins").unlink()


def _everything_pinned(host: Host) -> None:
    shutil.rmtree(host.bpf_dir)


def detach(host: Host, hook: AttachType) -> None:
    """Take the first program off a hook of guest 1's, as bpftool(8) does."""

    def first() -> None:
        at = index(host)
        with Program.by_id(tcx.attached(at, hook)[0].program) as program:
            tcx.detach(program, at, hook)

    within(host.name, first)


def _first_place(host: Host) -> None:
    with Program.load("theirs", PASS, "GPL") as theirs:
        at, before = index(host), hooks(host)[0]
        within(host.name, lambda: tcx.attach_first(theirs, at, AttachType.TCX_INGRESS))
        assert hooks(host)[0] == (theirs.id, *before)


def _emptied(host: Host, name: str) -> None:
    emptied = maps(host)[name]
    if name in ("slots", "settings"):
        memory = emptied.memory()
        memory[:] = bytes(len(memory))
    elif name == "continuations":
        emptied.delete(bytes(4))
    else:
        emptied.delete_many([key for key, _ in emptied.contents()])


def _clsact(host: Host) -> None:
    host.tc("qdisc", "del", "dev", TAP, "clsact")


def _filter(host: Host, hook: str) -> None:
    host.tc("filter", "del", "dev", TAP, hook)


def _ip(host: Host, words: Sequence[str]) -> None:
    host.ip("link", *words)


def _other_bridge(host: Host) -> None:
    host.ip("link", "add", "br-other", "type", "bridge")
    host.ip("link", "set", TAP, "master", "br-other")
    host.ip("link", "del", "br-other")


def _nft(host: Host, words: Sequence[str]) -> None:
    host.nft(*words)


def _chain(host: Host, device: str) -> None:
    for hook in ("ingress", "egress"):
        host.nft("delete", "chain", "netdev", "vifguard-quarantine", f"{hook}-{device}")


def filter_of_members(host: Host) -> list[str]:
    """What filters the members of the adopted bridge, as nft(8) and ip(8) list it."""
    table = r"table \w+ vifguard-members \{.*?\n\}"
    tables: list[str] = re.findall(table, host.nft("-s", "list", "ruleset"), re.DOTALL)
    bridge = host.ip("-d", "link", "show", ADOPTED, check=False)
    return sorted(tables) + re.findall(r"vlan_(?:filtering|protocol|default_pvid) \S+", bridge)


def _filter_of_members(host: Host, words: Sequence[str]) -> None:
    """Spoil the filter by `words` of nft(8); where VLANs filter, let them not do so."""
    if "vlan_filtering 1" in filter_of_members(host):
        _ip(host, ("set", ADOPTED, "type", "bridge", "vlan_filtering", "0"))
    else:
        host.nft(*words)


def _adopted_anew(host: Host) -> None:
    """As `ifdown br0; ifup br0` do: another bridge by the same name, with its members."""
    inside = host.members(ADOPTED)
    host.ip("link", "del", ADOPTED)
    host.ip("link", "add", ADOPTED, "type", "bridge", "forward_delay", "0")
    host.ip("link", "set", ADOPTED, "up")
    for name in inside:
        host.ip("link", "set", name, "master", ADOPTED)


def _sysctl(host: Host, name: str, value: str) -> None:
    within(host.name, lambda: Path("/proc/sys/net", name).write_text(value))


def _pinned() -> Iterator[Misfortune]:
    what = "removed pins, or the pin directory, or the names beside them, or unmounted the bpffs"
    yield Misfortune(what, "common", _everything_pinned)
    for pattern in ("maps-*", "connections-*", "programs-*"):
        yield Misfortune(what, "common", partial(_pins, pattern=pattern))
    yield Misfortune(what, "common", _name)


def _attached() -> Iterator[Misfortune]:
    what = "put a program of their own before the guard (TCX)"
    yield Misfortune(what, "place", _first_place, "before its own")
    what = "detached the guard's program (TCX)"
    for hook in AttachType:
        said = "its program is not at the interface's"
        yield Misfortune(what, "program", partial(detach, hook=hook), said, opens=True)


def _filters() -> Iterator[Misfortune]:
    what = "removed the qdisc or the filters (clsact)"
    yield Misfortune(what, "program", _clsact, "at the interface's", opens=True)
    for hook in ("ingress", "egress"):
        said = f"at the interface's {hook}"
        yield Misfortune(what, "program", partial(_filter, hook=hook), said, opens=True)


def _mapped() -> Iterator[Misfortune]:
    what = "changed a port's entry"
    yield Misfortune(what, "entry", partial(_emptied, name="slots"), "what was written")
    what = "emptied the maps of addresses, prefixes or groups"
    yield Misfortune(what, "extras", partial(_emptied, name="addresses"), "what was written")
    what = "emptied a map that all ports have in common"
    for name in ("settings", "continuations"):
        yield Misfortune(what, "common", partial(_emptied, name=name))


def _wired() -> Iterator[Misfortune]:
    what = "deleted a bridge, or took it down"
    yield Misfortune(what, "bridge", partial(_ip, words=("del", BRIDGE)), "was deleted")
    yield Misfortune(what, "bridge", partial(_ip, words=("set", BRIDGE, "down")), "taken down")
    what = "took an interface out of its bridge, or down"
    yield Misfortune(what, "member", partial(_ip, words=("set", TAP, "nomaster")), "taken out")
    yield Misfortune(what, "member", _other_bridge, "taken out")
    yield Misfortune(what, "member", partial(_ip, words=("set", TAP, "down")), "taken down")
    what = "flushed nftables, or took away the table or a chain of the quarantine"
    for words in (("flush", "ruleset"), ("delete", "table", "netdev", "vifguard-quarantine")):
        yield Misfortune(what, "quarantine", partial(_nft, words=words), "not sealed off")
    yield Misfortune(what, "quarantine", partial(_chain, device=BRIDGE), "not sealed off")
    yield Misfortune(what, "quarantine", partial(_chain, device=tap_of(AWAITED)))
    what = "let a chain of the quarantine accept, or its table sleep"
    chain = ("netdev", "vifguard-quarantine", f"ingress-{BRIDGE}")
    for words in (
        ("add", "chain", *chain, "{ policy accept; }"),
        ("add", "rule", *chain, "accept"),
        ("add", "table", *chain[:2], "{ flags dormant; }"),
    ):
        yield Misfortune(what, "quarantine", partial(_nft, words=words), "not sealed off")
    what = "set sysctls of an interface or a bridge, or those of all"
    for name, value in (
        (f"ipv6/conf/{TAP}/disable_ipv6", "0"),
        (f"ipv4/conf/{BRIDGE}/arp_ignore", "0"),
        ("ipv6/conf/all/disable_ipv6", "0"),
        ("ipv4/ip_forward", "1"),
    ):
        yield Misfortune(what, "sysctl", partial(_sysctl, name=name, value=value))
    what = "took away what filters the members of an adopted bridge"
    members, received = ("bridge", "vifguard-members"), ("netdev", "vifguard-members")
    for words in (
        ("delete", "table", *members),
        ("flush", "table", *members),
        ("insert", "rule", *members, "forward", "accept"),
        ("delete", "table", *received),
        ("flush", "table", *received),
        ("flush", "ruleset"),
    ):
        yield Misfortune(what, "filter", partial(_filter_of_members, words=words))
    yield Misfortune("made an adopted bridge anew", "filter", _adopted_anew)


TCX = (*_pinned(), *_attached(), *_mapped(), *_wired())
CLSACT = tuple(_filters())
