import pytest
from tests.enforce.world import World, mounted, nowhere

from vifguard.enforce.ebpf import EbpfDriver


@pytest.fixture
def bpf_dir(tmp_path):
    with mounted(tmp_path / "bpf") as path:
        yield path


@pytest.fixture
def world(bpf_dir):
    it = World(bpf_dir)
    try:
        yield it
    finally:
        it.close()


@pytest.fixture
def driver(world):
    it = EbpfDriver(world.bpf_dir)
    yield it
    it.remove_all()


@pytest.fixture
def private():
    with nowhere(2, 3, 4), EbpfDriver.private() as it:
        yield it
