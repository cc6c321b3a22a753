"""Ctrl-C while archives are being packed: threads cannot be cancelled, and the process waits for them."""

import asyncio
import os
import time
from contextlib import suppress

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.git_server import GitServer
from tests.support.sample_program import make_repo, make_unit, sample_tree

SLOW_TO_COMPRESS = os.urandom(8 * 1024 * 1024).translate(b"ab" * 128)  # 20 s at level 9


@pytest.fixture
async def gateway(tmp_path):
    with GatewayProcess(tmp_path, PU_GIT_ALLOW_PRIVATE="true") as gateway:
        await asyncio.to_thread(gateway.wait_until_started)
        yield gateway


@pytest.fixture
async def admin(gateway):
    done = run_command(gateway.folder, "user", "create-admin", "--login", "boss-1", "--password-stdin", stdin=PASSWORD)
    assert done.returncode == 0, done.stderr
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        nobody = Api(session, f"http://127.0.0.1:{gateway.http_port}/pepeunit/api/v1")
        reply = await nobody.post("/users/auth", {"credentials": "boss-1", "password": PASSWORD})
        yield nobody.with_token(reply.body["token"])


async def test_a_gateway_stops_within_five_seconds_whatever_it_is_packing(gateway, admin, tmp_path):
    with GitServer(tmp_path / "git") as server:
        tree = sample_tree(server, tmp_path / "work")
        tree.write("slow.txt", SLOW_TO_COMPRESS)
        tree.commit("much that takes long to compress")
        tree.push()
        _, repo = await make_repo(admin, server.url("sample"), "sample-repo")
    units = [await make_unit(admin, repo["uuid"], f"unit-{number}") for number in range(4)]
    downloads = [
        asyncio.create_task(admin.get(f"/units/firmware/tgz/{unit['uuid']}", {"wbits": "15", "level": "9"}))
        for unit in units
    ]
    async with asyncio.timeout(60):
        while not list((tmp_path / "data" / "archives").rglob("*.tar.stem")):
            assert (await admin.get("/users")).status == 200
    assert not any(download.done() for download in downloads)
    begun = time.monotonic()
    assert await asyncio.to_thread(gateway.stop, limit=5) == 0
    assert time.monotonic() - begun < 5
    for download in downloads:
        with suppress(ClientError):  # cut off, which is as good
            assert (await download).status == 503
    assert not any("Traceback" in line for line in gateway.errors), gateway.errors
