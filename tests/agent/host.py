"""A host in a namespace of its own, the agent that runs there, and its guests."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.agent.guest import Guest
from tests.agent.netns import PATIENCE, in_namespace, no_netfilter, run, within
from tests.agent.ports import port_id

from vifguard.agent.host.teardown import teardown
from vifguard.agent.reporting import run_file
from vifguard.agent.settings import Settings
from vifguard.enforce.drivers import DriverSettings, EbpfSettings
from vifguard.feed.codec import decode, encode
from vifguard.feed.messages import HostPort, PortReport, Report, Update
from vifguard.kernel.bpf import tcx
from vifguard.kernel.bpf.tcx import AttachType
from vifguard.kernel.net.link import Link, Links, interfaces
from vifguard.model.port import PortState
from vifguard.model.security_group import Rule, SetChange

_names = itertools.count(1)


class Host:
    """A namespace that is a host, and the agent that runs there."""

    def __init__(
        self,
        physical: Mapping[str, str] | None = None,
        compare: float = 300,
        *,
        tcx: bool | None = None,
        **settings: Any,
    ) -> None:
        self.name = f"vgag{os.getpid()}-{next(_names)}"
        self.bpf_dir = Path("/sys/fs/bpf", self.name)
        self.record = Path("/run", f"{self.name}.jsonl")
        self.settings = Settings(
            DriverSettings(self.bpf_dir, EbpfSettings(tcx)),
            physical or {},
            compare,
            record=self.record,
            **settings,
        )
        self.ports: dict[str, HostPort] = {}
        self.groups: dict[str, frozenset[Rule]] = {}
        self.sets: dict[str, SetChange] = {}
        self.revision = 1
        self.guests: list[Guest] = []
        self.told: dict[str, PortReport] = {}
        self.reports: list[Report] = []
        self._heard = threading.Condition()
        self.agent: subprocess.Popen[str] | None = None
        run("ip", "netns", "add", self.name)
        within(self.name, no_netfilter)
        self.ip("link", "set", "lo", "up")

    def ip(self, *command: str, check: bool = True) -> str:
        return run("ip", "-n", self.name, *command, check=check)

    def links(self) -> dict[str, Link]:
        def read() -> dict[str, Link]:
            with Links() as links:
                return {link.name: link for link in links.all()}

        found: dict[str, Link] = within(self.name, read)
        return found

    def members(self, bridge: str) -> set[str]:
        links = self.links()
        index = links[bridge].index if bridge in links else -1
        return {link.name for link in links.values() if link.master == index}

    def nft(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.name}", "nft", *command)

    def tc(self, *command: str) -> str:
        return run("nsenter", f"--net=/run/netns/{self.name}", "tc", *command)

    def held(self) -> set[str]:
        """The devices at which the quarantine drops everything, both ways."""
        chain = r'hook (\w+) device "(\S+)" priority \S+ policy drop;[^}a-z]*\}'
        found = re.findall(chain, self.nft("list", "ruleset"))
        return {d for h, d in found if h == "ingress"} & {d for h, d in found if h == "egress"}

    def guards(self) -> dict[str, int]:
        """The programs that stand at the hooks of the host's interfaces, the first of each."""
        found: dict[str, int] = within(self.name, _first_programs)
        return found

    def use_bpf_dir(self, path: Path) -> None:
        """Let the agent pin elsewhere; before it starts."""
        self.bpf_dir = path
        drivers = replace(self.settings.drivers, state_dir=path)
        self.settings = replace(self.settings, drivers=drivers)

    def guest(self, number: int) -> Guest:
        guest = Guest(self, number)
        self.guests.append(guest)
        return guest

    def start(self, *, complete: bool = True) -> None:
        """Start an agent; it learns all ports at once."""
        choices = self.settings
        arguments = (
            str(self.bpf_dir),
            json.dumps(dict(self.settings.physical)),
            str(self.settings.compare_every),
            json.dumps(self.settings.drivers.ebpf.tcx),
            str(self.record),
            json.dumps([choices.keep_unguarded, sorted(choices.hands_off), *choices.trusted]),
        )
        self.told.clear()
        self.agent = in_namespace(self.name, "pipe_agent.py", *arguments)
        self._reader = threading.Thread(target=self._read, args=(self.agent,))
        self._reader.start()
        if complete:
            self.send_all()

    def send_all(self) -> None:
        ports = tuple(self.ports.values())
        said = {"groups": self.groups, "sets": self.sets}
        self._send(Update(self.revision, complete=True, ports=ports, **said))

    def set(self, *ports: HostPort) -> None:
        """Ports come or change."""
        self.revision += 1
        changed = tuple(replace(each, revision=self.revision) for each in ports)
        self.ports.update({each.policy.port_id: each for each in changed})
        self._send(Update(self.revision, complete=False, ports=changed))

    def say(
        self,
        groups: Mapping[str, frozenset[Rule]] | None = None,
        sets: Mapping[str, SetChange] | None = None,
    ) -> None:
        """What groups and sets say from now on; it is in force when this returns."""
        self.revision += 1
        revision = self.revision
        self._send(Update(revision, complete=False, ports=(), groups=groups or {}, sets=sets or {}))
        self.until_reported(lambda report: report.reached >= revision)

    def remove(self, *numbers: int) -> None:
        """Ports end."""
        self.revision += 1
        gone = frozenset(port_id(number) for number in numbers)
        for each in gone:
            del self.ports[each]
        self._send(Update(self.revision, complete=False, ports=(), gone=gone))

    def lose_server(self) -> None:
        self._write("null")

    def kill(self) -> None:
        """As the kernel kills: without a word."""
        assert self.agent
        self.agent.kill()
        self._bury(self.agent)

    def stop(self) -> None:
        """As an operator stops it."""
        assert self.agent
        self.agent.send_signal(signal.SIGTERM)
        assert self._bury(self.agent) == 0

    def report(self, number: int) -> PortReport | None:
        """What was last told of a port, if it is about what was last wanted."""
        wanted, told = self.ports[port_id(number)], self.told.get(port_id(number))
        return told if told and told.revision >= wanted.revision else None

    def until(self, number: int, state: PortState, *, interface: str | None = None) -> PortReport:
        """The report of a port in this state, at the wanted revision."""

        def holds() -> bool:
            told = self.report(number)
            there = bool(told) and told.state is state
            return there and (interface is None or told.interface == interface)

        with self._heard:
            assert self._heard.wait_for(holds, PATIENCE), (
                f"{state}: {self.told.get(port_id(number))}"
            )
            found = self.report(number)
            assert found
            return found

    def enforced(self, *numbers: int) -> None:
        for number in numbers:
            self.until(number, PortState.ENFORCED)

    def until_reported(self, holds: Callable[[Report], Any], since: int = 0) -> Report:
        """The first report of which `holds` is true, behind the first `since` of them."""
        with self._heard:
            assert self._heard.wait_for(lambda: any(map(holds, self.reports[since:])), PATIENCE)
            return next(report for report in self.reports[since:] if holds(report))

    def until_compared(self) -> None:
        """Return once all ports that the agent knows by now had their turn.

        No heartbeat is sent between a port's report and what comes after all of them.
        """
        self.until_reported(lambda report: report.read_back, len(self.reports))

    def close(self) -> None:
        if self.agent:
            self.kill()
        for guest in self.guests:
            guest.close()
        with suppress(Exception):
            within(self.name, lambda: teardown(self.settings))
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.bpf_dir, ignore_errors=True)
        self.record.unlink(missing_ok=True)
        run_file.forget(self.bpf_dir)

    def _bury(self, agent: subprocess.Popen[str]) -> int:
        code = agent.wait(PATIENCE)
        self._reader.join()
        for pipe in (agent.stdin, agent.stdout):
            assert pipe
            pipe.close()
        self.agent = None
        return code

    def _send(self, update: Update) -> None:
        self._write(json.dumps(encode(update)))

    def _write(self, line: str) -> None:
        assert self.agent
        assert self.agent.stdin
        self.agent.stdin.write(line + "\n")
        self.agent.stdin.flush()

    def _read(self, agent: subprocess.Popen[str]) -> None:
        assert agent.stdout
        for line in agent.stdout:
            if not line.endswith("\n"):
                return  # it was killed while it spoke
            report = decode(Report, json.loads(line))
            with self._heard:
                self.reports.append(report)
                self.told.update({each.port_id: each for each in report.ports})
                self._heard.notify_all()


@contextmanager
def hosts(
    physical: Mapping[str, str] | None = None,
    compare: float = 300,
    *,
    tcx: bool | None = None,
    **settings: Any,
) -> Iterator[Host]:
    host = Host(physical, compare, tcx=tcx, **settings)
    try:
        yield host
    finally:
        host.close()


def _first_programs() -> dict[str, int]:
    found = {}
    for index in interfaces():
        for where in AttachType:
            try:
                programs = tcx.attached(index, where)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                continue  # an interface may go while it is looked at
            for each in programs[:1]:
                found[f"{index}-{where.name.removeprefix('TCX_').lower()}"] = each.program
    return found
