import subprocess
import sys
from ipaddress import ip_address

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import is_public, resolve_host


@pytest.mark.parametrize("text", ["8.8.8.8", "2600:1406::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet_are_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::a00:1",
        "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)  # fmt: skip
def test_private_addresses_are_not_however_they_are_wrapped(text):
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
