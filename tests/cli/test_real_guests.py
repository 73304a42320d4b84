"""docs/existing-host.md walked with real guests: of libvirt, of QEMU, and a container."""

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from command import COMMAND
from existing import (
    GATEWAY,
    HOSTS_OWN,
    Existing,
    forged,
    harmless,
    router_hears,
    snapshot,
)
from host import LIMIT, eventually, host
from libvirt_host import LibvirtGuest, libvirt
from real_guests import ROOT, Guest, Image, missing
from real_host import ADDRESSES, LIBVIRT_MAC, NEW_MAC, Real

pytestmark = [pytest.mark.kernel, pytest.mark.full, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if lacks := missing():
        pytest.skip(f"not on this machine: {lacks}")
    directory = tmp_path_factory.mktemp("image")
    done = subprocess.run(
        [ROOT / "tests" / "kernels" / "guest", directory],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return Image(directory)


@pytest.fixture
def real(tmp_path: Path, image: Image) -> Iterator[Real]:
    with ExitStack() as ends:
        machine = ends.enter_context(host(f"vgreal{os.getpid()}", tmp_path))
        existing = Existing(machine, {})
        ends.callback(existing.close)
        yield Real(existing, ends.enter_context(libvirt(machine)), image, ends)


def test_a_host_of_real_guests_from_survey_to_release(real: Real, tmp_path: Path) -> None:
    machine, plan = real.machine, tmp_path / "adopted.yaml"
    with real.unbroken(real.box, real.seven):
        with real.unbroken(*real.guests):
            before = snapshot(machine)
            survey(real, plan)
            rehearse(real, plan)
            declare(real, plan)
            assert snapshot(machine) == before
            with machine.up("--physical", "lan=br0", "--trust", "eno1"):
                for guest in real.guests:
                    real.port_of(guest)
                attacks_die(real, *real.guests)
        nobody_guards_a_newcomer(real)
        with machine.up("--physical", "lan=br0", "--trust", "eno1"):
            returns(real, real.vm)
            restart(real.vm)
            returns(real, real.vm)
            new = plug(real)
            restart(new)
            returns(real, new)
        with real.unbroken(real.vm):
            release(real, new)
            alike(before, snapshot(machine))
    attacks_arrive(real, *real.guests, new)
    remove(real, new)


def survey(real: Real, plan: Path) -> None:
    """Each guest is found by its interface, with its MAC and its address."""
    command = real.libvirt.seen_from(
        *(COMMAND, "host", "adopt", "--bridge", "br0", "--host", real.machine.name),
        *("--trust", "eno1", "--listen", 3, "-o", plan, "--json"),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT)
    found = json.loads(done.stdout)
    assert {
        row["member"]: (row["is"], row["mac"], row["addresses"]) for row in found["members"]
    } == {
        "eno1": ("uplink", "", []),
        **{g.interface: ("guest", g.mac(), [ADDRESSES[g.name]]) for g in real.guests},
    }
    assert found["host_addresses"] == [f"{HOSTS_OWN}/24"]
    ports = found["declaration"]["projects"]["operator"]["ports"]
    assert {name: port.get("interface") for name, port in ports.items()} == {
        "vm1": None,
        "tapseven": "tapseven",
        "vb-box": "vb-box",
    }


def rehearse(real: Real, plan: Path) -> None:
    """What a guest forges is counted, and arrives all the same."""
    frames = harmless(real.box.mac())
    words = " ".join(frame.hex() for frame in frames)
    command = ("host", "adopt", "--bridge", "br0", "-f", plan, "--listen", 0, "--rehearse", 3)
    with router_hears(real.existing) as heard:
        process = subprocess.Popen(
            real.machine.inside(COMMAND, *command, "--trust", "eno1", "--json"),
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        while process.poll() is None:
            real.box.run(f"send host0 {words}; sleep 0.1")
        found = json.loads(process.communicate()[0])["rehearsal"]
        assert set(frames) <= heard()
    assert {(row["member"], row["reason"]) for row in found["dropped"]} == {
        (real.box.interface, reason)
        for reason in ("arp-sender-address", "ipv4-source", "source-mac")
    }


def declare(real: Real, plan: Path) -> None:
    """Ports whose network the agent does not know yet take nobody out of the bridge."""
    shell = real.machine.shell
    with real.machine.up():
        shell("apply", "-f", plan)
        for port in shell.json("port", "list"):
            why = functools.partial(shell.json, "port", "show", port["id"])
            eventually(lambda why=why: "--physical lan=" in why()["status_reason"])


def send(guest: Guest, frames: list[bytes]) -> set[bytes]:
    guest.run(f"send {guest.device} {' '.join(frame.hex() for frame in frames)}")
    return set(frames)


def attacks_die(real: Real, *guests: Guest) -> None:
    """What guests forge is not heard, and what they may send is."""
    with router_hears(real.existing) as heard:
        sent = set()
        for guest in guests:
            sent |= send(guest, forged(guest.mac()))
            guest.run(f"ping -c1 -W10 {GATEWAY}")  # it comes after the others
        assert not sent & heard()


def attacks_arrive(real: Real, *guests: Guest) -> None:
    """Nothing guards these guests: what they forge is heard."""
    with router_hears(real.existing) as heard:
        sent, arrived = set(), set()
        for guest in guests:
            sent |= send(guest, harmless(guest.mac()))
        while not sent <= arrived:
            arrived |= heard()


def restart(guest: LibvirtGuest) -> None:
    guest.stop()
    guest.start()
    guest.ready(ADDRESSES[guest.name])


def nobody_guards_a_newcomer(real: Real) -> None:
    """libvirt puts it into the bridge under another name; without an agent it is heard nowhere."""
    before = real.vm.interface
    with router_hears(real.existing) as heard:
        restart(real.vm)
        assert real.vm.interface != before
        assert real.machine.master(real.vm.interface) == "br0"
        sent = send(real.vm, forged(LIBVIRT_MAC))
        assert not real.existing.pings("router", ADDRESSES["vm1"])
        assert not sent & heard()


def returns(real: Real, guest: Guest) -> None:
    """Its port has found the guest's interface: it is reached, and what it forges dies."""
    assert real.port_of(guest)["mac_address"] == guest.mac()
    eventually(lambda: real.existing.pings("router", ADDRESSES[guest.name]))
    assert real.machine.master(guest.interface) == "br0"
    attacks_die(real, guest)


def plug(real: Real) -> LibvirtGuest:
    """A guest whose place the agent gives: its tap is named by the port."""
    address = ("--fixed-ip", ADDRESSES["new"], "--network", "lan", "--host", real.machine.name)
    shell = real.machine.shell
    port = shell.json("port", "create", "new", *address, "--mac", NEW_MAC, "--ungrouped")
    guest = real.plug(f"tap{port['id'][:11]}")
    returns(real, guest)
    return guest


def release(real: Real, new: Guest) -> None:
    done = real.machine.down("--release", "--json")
    assert done.returncode == 0, done.stderr
    released = json.loads(done.stdout)["released"]
    released.pop("eno1", None)
    assert released == {guest.interface: "br0" for guest in (*real.guests, new)}


def alike(before: dict[str, str], after: dict[str, str]) -> None:
    """The interfaces that were there before are what they were, and nothing filters."""
    assert (after["nft"], after["addresses"]) == (before["nft"], before["addresses"])
    links = [
        {link["ifname"]: link for link in json.loads(each["links"])} for each in (before, after)
    ]
    same = links[0].keys() & links[1].keys()
    assert {"br0", "eno1", "tapseven", "vb-box"} <= same
    assert [links[1][name] for name in same] == [links[0][name] for name in same]
    for name in same:
        here = re.compile(rf"net.ipv..conf.{name}.*")
        assert here.findall(after["sysctls"]) == here.findall(before["sysctls"]) != []
    for key in ("mtu", "address", "flags", "master"):
        assert links[1]["vnet2"][key] == links[0]["vnet0"][key]
    assert not [each for each in links[1].values() if "ifalias" in each]
    assert "bpf" not in after["tc"]


def remove(real: Real, new: Guest) -> None:
    """Once more, with guests that restart; then each loses its network, and its guard after."""
    with real.machine.up("--physical", "lan=br0", "--trust", "eno1"):
        for guest in (*real.guests, new):
            real.port_of(guest)
        real.restart()
        for guest in (real.box, real.seven):
            returns(real, guest)
    done = real.machine.down("--remove", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    with router_hears(real.existing) as heard:
        sent = set()
        for guest in (*real.guests, new):
            sent |= send(guest, forged(guest.mac()))
            assert real.machine.master(guest.interface) == ""
            assert not real.existing.pings("router", ADDRESSES[guest.name])
        assert not sent & heard()
    assert "table" not in real.machine.run("nft", "list", "ruleset").stdout
    real.machine.run("ping", "-c1", "-W5", GATEWAY)
