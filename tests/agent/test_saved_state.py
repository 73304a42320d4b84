"""The record of what bridges were, on disks that take it, half of it, or nothing."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from vifguard.agent.host.saved_state import SavedState
from vifguard.bridging.bridge import mark
from vifguard.bridging.member_filters import OriginalVlans
from vifguard.kernel.net.bridge import Bridges
from vifguard.kernel.net.link import Link


class NoBridges:
    """The kernel's bridges, of which it says nothing."""

    def settings(self, _index: int) -> None:
        return None


def former(path: Path) -> SavedState:
    return SavedState(path, cast("Bridges", NoBridges()))


def note(record: SavedState, index: int) -> None:
    link = Link(index=index, name=f"br{index}", mac=None, kind="bridge")
    record.note_bridge(link, OriginalVlans(), (7, 8))


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """A file that would be longer takes what there is room for, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_half_a_line_costs_nothing_once_the_disk_has_room(tmp_path: Path) -> None:
    path = tmp_path / "former.jsonl"
    record = former(path)
    note(record, 1)
    with files_of_at_most(path.stat().st_size + 20), pytest.raises(OSError, match="too large"):
        note(record, 2)
    assert not path.read_text().endswith("\n")
    note(record, 3)
    assert former(path).bridges.keys() == {1, 2, 3}


@pytest.mark.parametrize("later", ["note", "keep"])
def test_what_no_disk_took_is_known_and_written_later(tmp_path: Path, later: str) -> None:
    path = tmp_path / "later" / "former.jsonl"
    record = former(path)
    with pytest.raises(FileNotFoundError):
        note(record, 1)
    assert record.bridges[1].members == (7, 8)
    path.parent.mkdir()
    if later == "note":
        note(record, 2)
    else:
        record.keep([1, 2])
    assert former(path).bridges.keys() == record.bridges.keys()
    assert not record.is_behind


def test_what_was_given_back_is_forgotten_by_the_next_run_too(tmp_path: Path) -> None:
    path = tmp_path / "former.jsonl"
    record = former(path)
    record.note([Link(index=i, name=f"nosuch{i}", mac=None) for i in (7, 8)])
    note(record, 1)
    record.note_ended(7, "a-port")
    record.forget_interfaces(frozenset({7, 9}))
    again = former(path)
    assert (again.interfaces.keys(), again.ended) == ({8}, {7: "a-port"})
    assert again.bridges[1].members == (8,)
    again.note([Link(index=7, name="nosuch7", mac=None)])
    assert (former(path).interfaces.keys(), former(path).ended) == ({7, 8}, {})


def test_an_interface_that_becomes_ours_or_ceases_to_be_is_recorded_as_it_is(
    tmp_path: Path,
) -> None:
    record = former(tmp_path / "former.jsonl")
    link = Link(index=7, name="nosuch7", mac=None, mtu=1500, alias="theirs")
    record.note([link], hands_off=True)
    record.note([replace(link, mtu=1400, alias=mark("a-port"))], hands_off=True)
    assert (record.interfaces[7].mtu, record.interfaces[7].hands_off) == (1500, True)
    record.note([replace(link, mtu=1400, alias=mark("a-port"))])
    assert record.interfaces[7] == replace(record.interfaces[7], mtu=1400, hands_off=False)
    assert record.interfaces[7].alias == "theirs"


def test_half_a_line_hinders_no_start_on_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "former.jsonl"
    note(former(path), 1)
    path.write_text(path.read_text() + '{"boot": ')
    with files_of_at_most(0):
        record = former(path)
    note(record, 2)
    assert former(path).bridges.keys() == {1, 2}
