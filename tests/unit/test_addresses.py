"""Where a webhook may go: the public Internet, and what the operator opened."""

import socket
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer import addresses

BAD = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's platform address, in the midst of public ones
    "169.254.169.254",  # the clouds' metadata
    "169.254.170.2",  # ECS' credentials
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::1%lo",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::a9fe:a9fe",  # NAT64 of the metadata service
    "64:ff9b:1::a00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",  # Teredo
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    # what can't be read
    "",
    "localhost",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.1.",
    "v1.fe80::a",
    "\uff11\uff12\uff17.0.0.1",  # full-width digits
    "127.0.0.1\n",
    "[::1]",
]
GOOD = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "168.63.129.15",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111%eth0",
    "2a00:1450:4001:81b::200e",
]
PRIVATE = [ip_network("10.0.0.0/8"), ip_network("169.254.0.0/16"), ip_network("fd00::/8")]


@pytest.mark.parametrize("address", BAD)
def test_what_is_special_or_unreadable_is_refused(address: str) -> None:
    assert addresses.refusal(address, []) is not None


@pytest.mark.parametrize("address", GOOD)
def test_what_is_public_is_allowed(address: str) -> None:
    assert addresses.refusal(address, []) is None


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::ffff:10.1.2.3", "169.254.1.1", "fd12::1", "fd12::1%eth0", "8.8.8.8", "2606:4700::1"]
)
def test_a_range_opened_by_the_operator_is_allowed_too(address: str) -> None:
    assert addresses.refusal(address, PRIVATE) is None


def test_what_the_operator_did_not_open_stays_refused() -> None:
    assert addresses.refusal("192.168.0.1", PRIVATE) == "is private, or reserved for a special purpose"


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::254%eth0"]
)
def test_metadata_stays_refused_inside_an_opened_range(address: str) -> None:
    assert addresses.refusal(address, PRIVATE) == "is a cloud's metadata service"


def test_metadata_stays_refused_through_an_opened_nat64_gateway() -> None:
    nat64 = [ip_network("64:ff9b::/96")]

    assert addresses.refusal("64:ff9b::a9fe:a9fe", nat64) == "is a cloud's metadata service"
    assert addresses.refusal("64:ff9b::808:808", nat64) is None


@pytest.mark.parametrize(
    ("address", "network"),
    [("169.254.169.254", "169.254.169.254/32"), ("fd00:ec2::254", "fd00:ec2::254/128")],
)
def test_metadata_is_opened_by_naming_that_one_address(address: str, network: str) -> None:
    assert addresses.refusal(address, [*PRIVATE, ip_network(network)]) is None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_its_ipv6_spelling(address: object) -> None:
    assert addresses.refusal(f"::ffff:{address}", PRIVATE) == addresses.refusal(str(address), PRIVATE)


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    refusal = addresses.refusal(text, PRIVATE)

    assert refusal is None or refusal.startswith("is ")


def make(host: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    where = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
    factory = addresses.guarded_socket_factory([ip_network("127.0.0.0/8")])
    return factory((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where))


@pytest.mark.parametrize(("host", "port"), [("8.8.8.8", 443), ("8.8.8.8", 80), ("127.0.0.1", 1024), ("1.1.1.1", 65535)])
def test_a_socket_is_made_for_an_allowed_address(host: str, port: int) -> None:
    with make(host, port) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.parametrize(
    ("host", "port", "family"),
    [
        ("10.0.0.1", 443, socket.AF_INET),
        ("::1", 443, socket.AF_INET6),
        ("8.8.8.8", 22, socket.AF_INET),
        ("127.0.0.1", 25, socket.AF_INET),  # opened, but not for mail
        ("8.8.8.8", 0, socket.AF_INET),
        ("v1.fe80::a", 443, socket.AF_INET6),
    ],
)
def test_a_refused_address_gets_no_socket_and_no_reason(host: str, port: int, family: socket.AddressFamily) -> None:
    with pytest.raises(addresses.AddressRefused) as refused:
        make(host, port, family)

    assert str(refused.value) == "webhooks may not go to this address"
