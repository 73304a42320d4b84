"""The doors of kernel/ that only this room uses."""

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vifguard.enforce.driver.protocol import Capabilities
from vifguard.enforce.ebpf.probe import probe
from vifguard.kernel import rcu
from vifguard.kernel.bpf import bpffs
from vifguard.kernel.bpf.bpf_syscall import Map, MapSpec, MapType, Program, VerifierError
from vifguard.kernel.net.link import Links
from vifguard.kernel.net.netlink import Netlink, NetlinkError
from vifguard.kernel.net.netns import in_throwaway

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

    def test_threads_share_one(self, table):
        """K3.1: the kernel wrote one thread's value into the buffer that another read."""
        keys = {n: self.key(table, n) for n in range(64)}
        table.update_many([(key, n.to_bytes(4, "big")) for n, key in keys.items()])
        wrong: list[object] = []

        def look(numbers):
            for _ in range(3000):
                wrong.extend(n for n in numbers if table.lookup(keys[n]) != n.to_bytes(4, "big"))

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            threads = [threading.Thread(target=look, args=((n, n + 1),)) for n in (0, 2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)
        assert wrong == []

    def test_too_many_is_an_error(self):
        with (
            Map.create(MapSpec("small", MapType.HASH, 4, 4, 2, 1)) as table,
            pytest.raises(OSError, match="bpf map_update_batch"),
        ):
            table.update_many([(n.to_bytes(4, "big"), bytes(4)) for n in range(3)])


class Changing(Netlink):
    """A socket during whose first dumps the kernel's links change, after their first part."""

    def __init__(self, changes: int) -> None:
        super().__init__(socket.NETLINK_ROUTE)
        self.changes = changes
        self.dumps = 0

    def _dump(self, message):
        self.dumps += 1
        self._parts = 0
        return super()._dump(message)

    def _receive(self):
        yield from super()._receive()
        self._parts += 1
        if self._parts == 1 and self.dumps <= self.changes:
            name = f"late{self.dumps}"
            subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)


class TestDumps:
    """K1.2: an interrupted dump may lack an entry, so it is repeated (NLM_F_DUMP_INTR)."""

    @staticmethod
    def dumped(changes: int) -> tuple[int, set[str], set[str]]:
        """How often links were dumped, which were found, and which there are."""

        def work():
            # Several parts more than the kernel prepares ahead of the reader.
            many = "".join(f"link add many{n} type bridge\n" for n in range(200))
            subprocess.run(["ip", "-batch", "-"], input=many, text=True, check=True)
            with Links() as links:
                links._netlink.close()
                links._netlink = changing = Changing(changes)
                found = {link.name for link in links.all()}
            return changing.dumps, found, {name for _, name in socket.if_nameindex()}

        return in_throwaway(work)

    def test_a_quiet_one_is_read_once(self):
        dumps, found, there = self.dumped(0)
        assert (dumps, found) == (1, there)

    def test_an_interrupted_one_is_repeated(self):
        dumps, found, there = self.dumped(2)
        assert (dumps, found) == (3, there)

    def test_one_that_is_always_interrupted_is_an_error(self):
        with pytest.raises(NetlinkError, match="interrupted"):
            self.dumped(10_000)


def test_a_refused_program_says_why():
    endless = bytes.fromhex("05000000000000009500000000000000")
    with pytest.raises(VerifierError, match="R0 !read_ok") as refused:
        Program.load("wrong", endless, "GPL")
    assert "exit" in refused.value.log


def test_nothing_is_missing_here(bpf_dir):
    found = in_throwaway(lambda: probe(bpf_dir))
    assert isinstance(found, Capabilities)
    assert found.driver == "ebpf"


def test_a_directory_that_cannot_be_a_bpffs_is_named():
    (lack,) = in_throwaway(lambda: probe(Path("/proc/vifguard")))
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
