"""How large the table of connections is made."""

import pytest

from vifguard.enforce.ebpf.maps.connection_table import MOST, buckets_for, usual

GIB = 1 << 30


@pytest.mark.parametrize(
    ("connections", "buckets"),
    [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (524_288, 65_536), (524_289, 131_072)],
)
def test_a_table_has_room_for_what_is_asked(connections, buckets):
    assert buckets_for(connections) == buckets


@pytest.mark.parametrize(
    ("memory", "connections"),
    [(0, 32_768), (GIB, 32_768), (24 * GIB, 524_288), (512 * GIB, 8_388_608), (1 << 60, MOST)],
)
def test_it_grows_with_the_host(memory, connections):
    """An instance of 1 GiB has room for what little it serves; none takes more than a 512th."""
    assert usual(memory) == connections
