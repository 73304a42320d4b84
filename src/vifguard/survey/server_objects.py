"""Records of this host's hypervisors and DHCP servers on its guests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from vifguard.model.address import AddressError, IPAddress, Mac, parse_address

_DOMAINS = Path("/run/libvirt/qemu")
_LEASES = (Path("/var/lib/misc/dnsmasq.leases"), Path("/var/lib/libvirt/dnsmasq"))


@dataclass(frozen=True, slots=True)
class Plugged:
    """Libvirt's record of an interface: the name of its guest (a domain), and the guest's MAC."""

    domain: str
    mac: Mac


def plugged(directory: Path = _DOMAINS) -> dict[str, Plugged]:
    """Libvirt's records of the interfaces of running guests, by the interface's name."""
    found = {}
    for path in sorted(directory.glob("*.xml")) if directory.is_dir() else ():
        with suppress(OSError, ET.ParseError):
            status = ET.parse(path)  # noqa: S314
            domain = status.findtext(".//domain/name", "")
            for each in status.iterfind(".//devices/interface"):
                mac, target = each.find("mac"), each.find("target")
                if mac is not None and target is not None and target.get("dev"):
                    with suppress(AddressError):
                        own = Mac.parse(mac.get("address", ""))
                        found[target.get("dev", "")] = Plugged(domain, own)
    return found


def leases(paths: Iterable[Path] = ()) -> Iterator[tuple[IPAddress, Mac]]:
    """The leases of dnsmasq: from its own file (`leases`), or libvirt's (`*.status`)."""
    for path in (*_LEASES, *paths):
        for file in sorted(path.iterdir()) if path.is_dir() else (path,):
            try:
                text = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            yield from _of_libvirt(text) if file.suffix == ".status" else _of_dnsmasq(text)


def _of_dnsmasq(text: str) -> Iterator[tuple[IPAddress, Mac]]:
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3:
            with suppress(AddressError):
                yield parse_address(words[2]), Mac.parse(words[1])


def _of_libvirt(text: str) -> Iterator[tuple[IPAddress, Mac]]:
    with suppress(ValueError, TypeError, KeyError):
        for lease in json.loads(text):
            yield parse_address(lease["ip-address"]), Mac.parse(lease["mac-address"])
