"""Of a wide prefix, what others own within is theirs."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vifguard.model.address import IPNetwork
from vifguard.resolve.members import without


@st.composite
def within(draw: st.DrawFn, wide: IPNetwork) -> IPNetwork:
    length = draw(st.integers(wide.prefixlen, wide.max_prefixlen))
    first = draw(st.integers(int(wide[0]), int(wide[-1])))
    spare = wide.max_prefixlen - length
    return type(wide)((first >> spare << spare, length))


@pytest.mark.parametrize("cidr", ["10.44.0.0/26", "fd00::/122", "0.0.0.0/28", "10.0.0.1/32"])
@given(st.data())
def test_each_address_is_the_most_specific_owners(cidr: str, data: st.DataObject) -> None:
    wide = ip_network(cidr)
    owned = data.draw(st.lists(within(wide), max_size=6))
    left = without(wide, owned)
    narrower = [each for each in owned if each.prefixlen > wide.prefixlen]
    for address in wide:
        is_others = any(address in each for each in narrower)
        assert sum(address in each for each in left) == (not is_others)
    assert all(each.subnet_of(wide) for each in left)  # type: ignore[arg-type]


def test_what_is_beyond_or_of_the_other_family_takes_nothing() -> None:
    wide = ip_network("10.44.0.0/25")
    others = map(ip_network, ("10.44.0.128/32", "10.44.0.0/16", "10.44.0.0/25", "fd00::1/128"))
    assert without(wide, others) == {wide}


@pytest.mark.parametrize(("cidr", "most"), [("10.0.0.0/8", 24), ("fd00::/64", 64)])
def test_it_grows_with_what_is_owned_and_not_with_the_prefix(cidr: str, most: int) -> None:
    wide = ip_network(cidr)
    owned = [type(wide)(int(wide[0]) + 977 * number) for number in range(1, 2000)]
    assert len(without(wide, owned)) <= most * (len(owned) + 1)
