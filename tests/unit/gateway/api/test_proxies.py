"""Whose address counts: behind trusted proxies the client's, from anybody else the peer's."""

import pytest

from pepeunit_gateway.api.proxies import ClientAddress, client_address, parse_address
from pepeunit_gateway.hosts import read_networks
from pepeunit_gateway.settings import Settings
from tests.support.served import served
from tests.unit.gateway.api.sample import sample_app

TRUSTED = "127.0.0.1, 10.0.0.0/8, fd00::/8"

CASES = [
    # peer, X-Forwarded-For headers, trusted, the client
    ("192.0.2.1", [], "", "192.0.2.1"),
    ("192.0.2.1", ["203.0.113.9"], "", "192.0.2.1"),
    ("127.0.0.1", ["203.0.113.9"], "", "127.0.0.1"),
    ("192.0.2.1", ["203.0.113.9"], TRUSTED, "192.0.2.1"),
    ("127.0.0.1", [], TRUSTED, "127.0.0.1"),
    ("127.0.0.1", ["203.0.113.9"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["198.51.100.1, 203.0.113.9"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["198.51.100.1, 203.0.113.9, 10.1.2.3"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["198.51.100.1", "203.0.113.9,10.1.2.3"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["203.0.113.9", "10.1.2.3"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["10.9.9.9, 10.1.2.3"], TRUSTED, "10.9.9.9"),
    ("127.0.0.1", ["unknown"], TRUSTED, "127.0.0.1"),
    ("127.0.0.1", ["203.0.113.9, unknown, 10.1.2.3"], TRUSTED, "10.1.2.3"),
    ("127.0.0.1", ["203.0.113.9, "], TRUSTED, "127.0.0.1"),
    ("127.0.0.1", ["203.0.113.9; DROP TABLE"], TRUSTED, "127.0.0.1"),
    ("127.0.0.1", ["203.0.113.9:4711"], TRUSTED, "203.0.113.9"),
    ("127.0.0.1", ["[2001:db8::7]:4711"], TRUSTED, "2001:db8::7"),
    ("127.0.0.1", ["[2001:db8::7]"], TRUSTED, "2001:db8::7"),
    ("127.0.0.1", ["2001:db8::7, [fd00::1]:99"], TRUSTED, "2001:db8::7"),
    ("fd00::2", ["2001:DB8:0::7"], TRUSTED, "2001:db8::7"),
    ("::ffff:127.0.0.1", ["::ffff:203.0.113.9"], TRUSTED, "203.0.113.9"),
    ("fe80::1%eth0", [], TRUSTED, "fe80::1"),
    (None, ["203.0.113.9"], TRUSTED, "unknown"),
    ("", ["203.0.113.9"], TRUSTED, "unknown"),
    ("127.0.0.1", [", ".join(["10.0.0.1"] * 2000)], TRUSTED, "10.0.0.1"),
]


@pytest.mark.parametrize(("peer", "forwarded", "trusted", "client"), CASES)
def test_the_client_is_the_rightmost_address_that_is_no_trusted_proxy(peer, forwarded, trusted, client):
    assert client_address(peer, forwarded, read_networks(trusted)) == ClientAddress(client)


@pytest.mark.parametrize(
    "text",
    ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "1.2.3.4:x", "1.2.3.4:8:9", "[::1", "[::1]9", "[::1]:x", "::1::2",
     "256.1.1.1", "localhost", '"192.0.2.1"'],
)  # fmt: skip
def test_what_is_no_address_is_none(text):
    assert parse_address(text) is None


def test_limits_count_an_ipv6_network_as_one_client():
    assert ClientAddress("2001:db8:1:2::9").site == ClientAddress("2001:db8:1:2:ffff::").site == "2001:db8:1:2::/64"
    assert ClientAddress("192.0.2.1").site == "192.0.2.1"
    assert ClientAddress("unknown").site == "unknown"


@pytest.mark.parametrize(("trusted", "client"), [("127.0.0.0/8", "203.0.113.9"), ("192.0.2.1", "127.0.0.1")])
async def test_a_handler_gets_the_address_of_the_client(trusted, client):
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9"}
    app = sample_app(Settings(domain="localhost", trusted_proxies=trusted))
    path = "/pepeunit/api/v1/things/client/address"
    async with served(app) as session, session.get(path, headers=headers) as answer:
        assert await answer.json() == client
