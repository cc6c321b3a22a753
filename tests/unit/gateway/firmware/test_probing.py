import asyncio
import socket
from contextlib import contextmanager

import pytest
import uvloop

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.probing import probe
from pepeunit_gateway.firmware.remotes import Remote
from pepeunit_gateway.firmware.urls import parse_url
from tests.support.certificates import Authority

HERE, NOBODY = "127.0.0.1", "127.0.0.2"


@contextmanager
def silent_server():
    """Takes connections and never says a word."""
    with socket.create_server((HERE, 0)) as server:
        yield server.getsockname()[1]


def remote(scheme, port, *addresses):
    return Remote(parse_url(f"{scheme}://git.example:{port}/x.git"), None, addresses)


@pytest.mark.parametrize("addresses", [(HERE,), (NOBODY, HERE), (HERE, NOBODY)])
async def test_over_http_a_connection_is_an_answer(addresses):
    with silent_server() as port:
        await probe(remote("http", port, *addresses), limit=10)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_refusal_is_left_to_git(scheme):
    with silent_server() as port:
        await probe(remote(scheme, port, NOBODY), limit=10)


async def test_a_server_without_tls_is_left_to_git():
    async def hang_up(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, HERE, 0) as server:
        await probe(remote("https", server.sockets[0].getsockname()[1], HERE), limit=10)


async def test_over_https_a_handshake_is_an_answer_whatever_the_certificate(tmp_path):
    def forget(_reader, writer):
        writer.close()

    context = Authority().server(tmp_path, "somebody.example")
    async with await asyncio.start_server(forget, HERE, 0, ssl=context) as server:
        await probe(remote("https", server.sockets[0].getsockname()[1], NOBODY, HERE), limit=10)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_handshake_that_nobody_answers_is_told(run):
    with silent_server() as port, pytest.raises(RepositoryRegistryError) as caught:
        run(probe(remote("https", port, NOBODY, HERE), limit=0.2))
    assert caught.value.message == (
        f"The git server at git.example:{port} did not answer within 0.2 s; check that it runs and that this machine "
        "may connect to it, then try again"
    )
