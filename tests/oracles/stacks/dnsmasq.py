"""dnsmasq as a server of both DHCPs; what it wrote of leases and messages tells."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.agent.netns import eventually
from tests.agent.ports import mac_of
from tests.oracles.stacks.segment import address4, address6


class Server:
    """A process in `netns`, which leases each of `guests`, by number, its own address."""

    def __init__(self, netns: str, directory: Path, guests: tuple[int, ...]) -> None:
        self._guests = guests
        self._netns, self._log = netns, directory / "log"
        self._file, self._kept = directory / "leases", directory / "kept"
        self._kept.touch()
        self.restart()

    def restart(self) -> None:
        """Forget everything but what was kept."""
        self.stop()
        shutil.copy(self._kept, self._file)
        self._log.unlink(missing_ok=True)
        hosts = (f"{mac_of(n)},{address4(n)},[{address6(n)}]" for n in self._guests)
        command = (
            *("nsenter", f"--net=/run/netns/{self._netns}", "dnsmasq", "-k", "-C", "/dev/null"),
            *("-p", "0", "-i", "eth0", "-z", "-u", "root", "--no-ping", "--log-dhcp"),
            *("--dhcp-range=10.9.0.200,10.9.0.210,1h", "--dhcp-range=fd09::200,fd09::210,1h"),
            *(f"--dhcp-host={host}" for host in hosts),
            *(f"--dhcp-leasefile={self._file}", f"--log-facility={self._log}", "--pid-file="),
        )
        self._process = subprocess.Popen(command)
        eventually(
            lambda: self._log.exists() and "sockets bound" in self._log.read_text(), "it starts"
        )

    def stop(self) -> None:
        """End it; its file stays."""
        if hasattr(self, "_process"):
            self._process.kill()
            self._process.wait()

    def keep(self) -> None:
        """Let the leases of now be there after each restart."""
        shutil.copy(self._file, self._kept)

    @property
    def leases(self) -> frozenset[str]:
        """The addresses that are leased."""
        lines = (line.split() for line in self._written().splitlines())
        return frozenset(columns[2] for columns in lines if len(columns) > 2)

    @property
    def duid(self) -> bytes:
        """Its own name in DHCPv6."""
        (found,) = re.findall("^duid (.*)$", self._written(), re.MULTILINE)
        return bytes.fromhex(found.replace(":", ""))

    def _written(self) -> str:
        """The whole file: before it is written anew it is empty, and its own name is always in."""
        written: str = eventually(lambda: _with_duid(self._file.read_text()), "the file is written")
        return written

    def logged(self, message: str, of: str) -> bool:
        """Whether it has told of such a message, its own or a client's, by address or DUID."""
        return f"{message}(eth0) {of} " in self._log.read_text()

    def disabled(self, address: str) -> bool:
        """Whether it leases an address of a client's own to nobody for a while."""
        return f"disabling DHCP static address {address} " in self._log.read_text()

    def leased_to(self, address: str, identifier: bytes) -> bool:
        """Whether its file has the address as that of the client with this identifier."""
        return f" {address} * {identifier.hex(':')}\n" in self._written()


def _with_duid(text: str) -> str:
    return text if "duid " in text else ""
