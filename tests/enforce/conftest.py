"""Hosts for the tests of this room.

A driver's programs take a second to be verified. Where a test says what becomes of frames, and
not how programs come to be in force, it shares its host and its driver with those of its file.
"""

from functools import partial

import pytest
from tests.enforce.guarded_port import World, let_go, mounted, nowhere

from vifguard.enforce.ebpf.driver import EbpfDriver


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
def pair(world):
    return world.guest(1), world.guest(2)


@pytest.fixture(params=[True, False], ids=["tcx", "clsact"])
def opened(world, request):
    """Open the driver of the world's host, attaching one way and then the other."""
    return partial(EbpfDriver, world.bpf_dir, tcx=request.param)


@pytest.fixture
def private():
    with nowhere(2, 3, 4), EbpfDriver.private() as it:
        yield it


@pytest.fixture(scope="module")
def standing_private():
    with nowhere(1), EbpfDriver.private() as it:
        yield it


@pytest.fixture
def shared_private(standing_private):
    """The private driver that a file's tests share; it has no port."""
    yield standing_private
    let_go(standing_private)


@pytest.fixture(scope="module")
def standing_world(tmp_path_factory):
    with mounted(tmp_path_factory.mktemp("standing") / "bpf") as path:
        it = World(path)
        try:
            yield it
        finally:
            it.close()


@pytest.fixture(scope="module", params=["tcx", "clsact"])
def standing_driver(standing_world, request):
    it = EbpfDriver(standing_world.bpf_dir, tcx=request.param == "tcx")
    assert request.param == it.capabilities.mechanism
    yield it
    it.remove_all()


@pytest.fixture
def shared_world(standing_world):
    """The host that a file's tests share; nobody is there."""
    yield standing_world
    standing_world.clear()


@pytest.fixture
def shared_driver(shared_world, standing_driver):  # noqa: ARG001  its guests go later
    """The driver that a file's tests share, for each way to attach; it guards nobody."""
    yield standing_driver
    let_go(standing_driver)
