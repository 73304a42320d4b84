"""The doors of kernel/ that only this room uses."""

import subprocess
import sys
from pathlib import Path

import pytest

from vifguard.enforce.ebpf import missing
from vifguard.kernel import bpffs, rcu
from vifguard.kernel.bpf import Map, MapSpec, MapType, Program, VerifierError

pytestmark = pytest.mark.kernel

KNOB = Path("/sys/kernel/rcu_expedited")
WITH_RCU_EXPEDITED = """
from vifguard.kernel import rcu
with rcu.expedited():
    print("in", flush=True)
    input()
"""


class TestExpedited:
    def test_it_is_for_the_moment(self):
        before = KNOB.read_text()
        with rcu.expedited():
            assert KNOB.read_text() == "1\n"
        assert KNOB.read_text() == before

    def test_it_ends_with_an_error(self):
        before = KNOB.read_text()
        with pytest.raises(RuntimeError), rcu.expedited():
            raise RuntimeError
        assert KNOB.read_text() == before

    def test_the_next_one_puts_back_what_a_killed_one_left(self):
        before = KNOB.read_text()
        command = [sys.executable, "-c", WITH_RCU_EXPEDITED]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
            assert process.stdout.readline() == "in\n"
            process.kill()
        assert KNOB.read_text() == "1\n"
        with rcu.expedited():
            pass
        assert KNOB.read_text() == before


def test_grace_periods_end():
    rcu.grace_period()
    rcu.wait_by_map()


class TestMaps:
    @pytest.fixture(params=[(MapType.HASH, 0), (MapType.LPM_TRIE, 1), (MapType.HASH, 1)])
    def table(self, request):
        kind, flags = request.param
        with Map.create(MapSpec("table", kind, 8, 4, 20_000, flags)) as it:
            yield it

    @staticmethod
    def key(table, number):
        # A trie's key begins with the bits that count.
        bits = 32 if table.spec.type is MapType.LPM_TRIE else 7
        return bits.to_bytes(4, "little") + number.to_bytes(4, "big")

    def test_one(self, table):
        key = self.key(table, 1)
        assert table.lookup(key) is None
        table.update(key, b"abcd")
        assert table.lookup(key) == b"abcd"
        table.delete(key)
        table.delete(key)
        assert table.lookup(key) is None

    def test_many(self, table):
        items = [(self.key(table, n), n.to_bytes(4, "big")) for n in range(10_000)]
        table.update_many(items)
        assert dict(table.contents()) == dict(items)
        table.delete_many(key for key, _ in items[1:])
        assert list(table.contents()) == items[:1]

    def test_too_many_is_an_error(self):
        with (
            Map.create(MapSpec("small", MapType.HASH, 4, 4, 2, 1)) as table,
            pytest.raises(OSError, match="bpf map_update_batch"),
        ):
            table.update_many([(n.to_bytes(4, "big"), bytes(4)) for n in range(3)])


def test_a_refused_program_says_why():
    endless = bytes.fromhex("05000000000000009500000000000000")
    with pytest.raises(VerifierError, match="R0 !read_ok") as refused:
        Program.load("wrong", endless, "GPL")
    assert "exit" in refused.value.log


def test_nothing_is_missing_here(bpf_dir):
    assert missing(bpf_dir) == ()


def test_a_directory_that_cannot_be_a_bpffs_is_named():
    (lack,) = missing(Path("/proc/vifguard"))
    assert "/proc/vifguard" in lack


def test_a_bpffs_is_mounted_once(tmp_path):
    directory = tmp_path / "bpf"
    assert not bpffs.is_bpffs(directory)
    bpffs.ensure(directory)
    try:
        assert bpffs.is_bpffs(directory)
        bpffs.ensure(directory)
        bpffs.ensure(directory / "vifguard")
        assert bpffs.is_bpffs(directory / "vifguard")
    finally:
        bpffs.unmount(directory)
    assert not bpffs.is_bpffs(directory)
