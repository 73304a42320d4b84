"""Text becomes an address in one way only; everything else is refused and quoted."""

from ipaddress import ip_address, ip_network

import pytest

from vifguard.model.address import AddressError, Mac, parse_address, parse_network, parse_prefix

REFUSED_ADDRESSES = [
    "",
    " 10.0.0.1",
    "10.0.0.1\n",
    "10.0.0.1\u2028",
    "10.1",
    "010.0.0.1",
    "0x0a000001",
    "10.0.0.0.1",
    "10.0.0.256",
    "10.0.0.1/32",
    "fe80::1%eth0",
    "fe80::1%x\nflush ruleset",
    "::ffff:10.0.0.5",
    "0:0:0:0:0:ffff:a00:5",
    "1::2::3",
    "٣.0.0.1",
    "auto",
    "dhcp",
]


@pytest.mark.parametrize("text", REFUSED_ADDRESSES)
def test_an_address_that_is_not_one_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_address(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0/33",
        "10.0.0.0/0.0.0.255",
        "10.0.0.0/255.255.255.0",
        "10.0.0.0/024",
        "10.0.0.0/-1",
        "10.0.0.5/24",
        "10.0.0.0",
        "10.0.0.0/24\n",
        "fd00::/129",
        "::ffff:10.0.0.0/120",
        "bad",
    ],
)
def test_a_network_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_network(text)


def test_zero_is_a_value() -> None:
    assert parse_network("0.0.0.0/0") == ip_network("0.0.0.0/0")
    assert parse_address("::") == ip_address("::")


def test_one_address_whatever_its_spelling() -> None:
    assert parse_address("FD00:0:0::0001") == parse_address("fd00::1")


def test_an_address_is_its_own_prefix() -> None:
    assert parse_prefix("10.0.0.5") == ip_network("10.0.0.5/32")
    assert parse_prefix("fd00::5") == ip_network("fd00::5/128")
    assert parse_prefix("10.0.0.0/24") == ip_network("10.0.0.0/24")


@pytest.mark.parametrize(
    "text",
    [
        "02-00:00-00-00-01",
        "02-00-00-00-00:01",
        "0200.0000.0001",
        "02:00:00:00:00",
        "02:00:00:00:00:01\n",
        "2:0:0:0:0:1",
        "02:00:00:00:00:0g",
        "",
    ],
)
def test_a_mac_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        Mac.parse(text)


def test_mac_case_does_not_matter_and_leading_zeros_stay() -> None:
    mac = Mac.parse("02:00:00:0A:00:00")
    assert mac == Mac.parse("02:00:00:0a:00:00")
    assert mac == Mac.parse("02-00-00-0A-00-00")
    assert str(mac) == "02:00:00:0a:00:00"


def test_the_link_local_address_of_a_mac() -> None:
    # RFC 4291, appendix A: invert the universal/local bit, put ff:fe in the middle.
    assert Mac.parse("02:00:5e:10:20:30").link_local == ip_address("fe80::5eff:fe10:2030")


def test_group_and_zero() -> None:
    assert Mac.parse("33:33:00:00:00:01").is_group
    assert Mac.parse("ff:ff:ff:ff:ff:ff").is_group
    assert Mac.parse("00:00:00:00:00:00").is_zero
    assert not Mac.parse("02:00:00:00:00:01").is_group
