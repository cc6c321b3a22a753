import subprocess
import sys
from ipaddress import ip_address

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import is_public, resolve_host

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255",
    "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "203.0.114.0", "223.255.255.255",
    "2000::1", "2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2600:1406::1", "2a00:1450::1", "3ffe:ffff::1",
    "3fff:1000::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
]  # fmt: skip
LOCAL = [
    "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
    "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1", "198.18.0.1",
    "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
    "::ffff:0:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808", "100::1",
    "1fff:ffff::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1::1", "2001:2::1", "2001:3::1",
    "2001:4:112::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "2001:db8::1", "2001:db8:ffff::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2620:4f:8000::1", "3fff::1", "3fff:fff:ffff::1", "4000::1", "5f00::1",
    "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_open_internet_are_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", LOCAL)
def test_special_addresses_are_not_however_they_are_wrapped(text):
    """By hand from the registries of IANA, so that no list of a library decides."""
    assert not is_public(ip_address(text))


async def test_a_name_that_leads_to_loopback_is_refused():
    with pytest.raises(RepositoryRegistryError, match="PU_GIT_ALLOW_PRIVATE"):
        await resolve_host("localhost", 80, allow_private=False, limit=10)


async def test_an_operator_may_allow_it():
    assert "127.0.0.1" in await resolve_host("localhost", 80, allow_private=True, limit=10)


async def test_an_unknown_host_is_named():
    with pytest.raises(RepositoryRegistryError, match=r"There is no host nowhere\.invalid"):
        await resolve_host("nowhere.invalid", 80, allow_private=True, limit=30)


SILENT_RESOLVER = """
import socket, time
import uvloop
from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import resolve_host

async def main():
    try:
        await resolve_host("git.example", 443, allow_private=True, limit=0.1)
    except RepositoryRegistryError as error:
        print(error.message)

socket.getaddrinfo = lambda *_, **__: time.sleep(60)
uvloop.run(main())
"""


def test_a_resolver_without_an_answer_is_given_up_and_does_not_hold_the_process():
    done = subprocess.run(
        [sys.executable, "-c", SILENT_RESOLVER], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.stdout == "Looking up the host git.example took longer than 0.1 s; try again\n"
    assert (done.returncode, done.stderr) == (0, "")
