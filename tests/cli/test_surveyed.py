"""What the file of a survey says of each guest, and how a rehearsal finds its interface."""

from collections import Counter
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from vifguard.cli.host_import.declare import HostChoices, comments, document, port_names
from vifguard.model.address import Mac
from vifguard.survey.rehearsal import absent, declared
from vifguard.survey.server_objects import Plugged, plugged
from vifguard.survey.survey import Survey, SurveyedMember

GUEST = Mac.parse("52:54:00:61:22:01")
OF_LIBVIRT = Mac.parse("fe:54:00:61:22:01")
OTHER = Mac.parse("52:54:00:61:22:02")
CHOICE = HostChoices("lan", "lan", "operator", "here", None)


def survey(*members: tuple[str, Mac]) -> Survey:
    """A guest with the same MAC behind each interface, which has a MAC of its own."""
    found = {
        name: SurveyedMember(
            name, "tun", own, leads_out=False, port_id="", macs=Counter({GUEST: 3})
        )
        for name, own in members
    }
    return Survey("br0", 1500, (IPv4Interface("192.168.50.2/24"),), (), found)


@pytest.mark.parametrize(
    ("name", "own", "named"),
    [
        ("vnet0", OF_LIBVIRT, False),
        ("macvtap1", GUEST, False),
        ("vnet0", OTHER, True),
        ("tap7", OF_LIBVIRT, True),
        ("vnet0x", OF_LIBVIRT, True),
    ],
)
def test_a_name_that_does_not_last_is_left_out_where_the_mac_finds_the_interface(name, own, named):
    found = survey((name, own))
    (port,) = document(found, CHOICE)["projects"]["operator"]["ports"].values()
    assert port.get("interface") == (name if named else None)
    assert any("anew at each start" in line for line in comments(found)) == (not named)
    assert list(declared(document(found, CHOICE), found)) == [name]


def test_a_port_without_an_interface_now_is_not_rehearsed_and_named():
    written = document(survey(("vnet0", OF_LIBVIRT)), CHOICE)
    policies = declared(written, survey(("vnet1", OTHER)))
    assert policies == {}
    assert absent(written, policies) == ["vnet0"]


def test_a_port_is_called_as_libvirt_calls_its_guest_where_the_interfaces_name_does_not_last():
    found = survey(("tap7", OTHER), ("vnet0", OF_LIBVIRT), ("vnet1", GUEST), ("web", OTHER))
    for name in ("tap7", "vnet0", "vnet1"):
        found.members[name].domain = "web"
    names = {"tap7": "tap7", "web": "web", "vnet0": "web-2", "vnet1": "web-3"}
    assert port_names(found) == names


def test_a_guest_whose_address_was_not_seen_is_named() -> None:
    found = survey(("tap7", OTHER), ("tap8", OTHER))
    found.members["tap8"].note_address(GUEST, IPv4Address("192.168.50.9"))
    silent = [line for line in comments(found) if "no address was seen" in line]
    assert [line.partition(":")[0] for line in silent] == ["tap7"]


def test_what_libvirt_wrote_of_a_running_guest(tmp_path: Path) -> None:
    (tmp_path / "web.xml").write_text(
        "<domstatus><domain><name>web</name><devices><interface type='bridge'>"
        f"<mac address='{GUEST}'/><target dev='vnet0'/></interface></devices></domain></domstatus>"
    )
    (tmp_path / "broken.xml").write_text("<domstatus>")
    assert plugged(tmp_path) == {"vnet0": Plugged("web", GUEST)}


def test_two_interfaces_with_one_mac_are_none():
    written = document(survey(("vnet0", OF_LIBVIRT)), CHOICE)
    assert declared(written, survey(("vnet1", OF_LIBVIRT), ("vnet2", GUEST))) == {}
