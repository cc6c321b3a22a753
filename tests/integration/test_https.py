"""The API over HTTPS, to a real client and to the SDK."""

import asyncio
import json
import ssl
from datetime import UTC, datetime

import pytest
from aiohttp import web

from pepeunit.env import Env
from pepeunit.rest import Rest
from pepeunit.worker import Workers
from pepeunit_gateway.api.listener import bind_api, serve
from pepeunit_gateway.certificates import ServerCertificate
from tests.support.certificates import Authority
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.ports import free_port
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_LOOPS = True

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def files(tmp_path, authority):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.files(cert, key, HOST)
    return cert, key


async def _serial(port, authority, name):
    """The number of the certificate that serves a new connection; without a name the client sends no SNI."""
    context = ssl.create_default_context(cadata=authority.pem)
    async with asyncio.timeout(20):
        _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name)
    serial = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
    writer.close()
    return serial


async def _hello(_request):
    return web.Response(text="hello")


async def test_a_renewed_certificate_serves_the_next_connection_also_without_sni(files, authority):
    app = web.Application()
    app.router.add_get("/", _hello)
    certificate = ServerCertificate(*files, datetime.now(UTC))
    port = free_port()
    runner = await serve(app, bind_api(HOST, port), certificate.context)
    try:
        first = await _serial(port, authority, HOST)
        assert await _serial(port, authority, HOST) == first
        authority.files(*files, HOST)
        certificate.renew(datetime.now(UTC))
        second = await _serial(port, authority, HOST)
        authority.files(*files, "localhost")
        certificate.renew(datetime.now(UTC))
        third = await _serial(port, authority, "localhost")
    finally:
        await runner.cleanup()
    assert len({first, second, third}) == 3


async def test_the_api_and_the_sdk_speak_https(tmp_path, files, authority):
    cert, key = files
    async with world(tmp_path, tls_cert=cert, tls_key=key) as stage:
        unit = await make_unit(stage.alice, stage.repo["uuid"], "lamp-1")
        env = (await stage.alice.get(f"/units/env/{unit['uuid']}")).body
        assert (env["PU_HTTP_TYPE"], env["PU_DOMAIN"]) == ("https", f"{HOST}:{stage.gateway.given.http_port}")
        told = Env({**env, "PU_CA_CERT": authority.pem})
        answer = await Rest(lambda: told, Workers()).get(f"/units/get_target_version/{unit['uuid']}")
        assert json.loads(answer)["commit"] == env["PU_COMMIT_VERSION"]


def test_the_start_block_names_https(tmp_path, files):
    cert, key = map(str, files)
    with GatewayProcess(tmp_path, PU_TLS_CERT=cert, PU_TLS_KEY=key) as gateway:
        block = gateway.wait_until_started()
        assert f"https://{HOST}:{gateway.http_port}/pepeunit/api/v1" in block
        assert "http://" not in block
        assert gateway.stop() == 0


def test_a_certificate_that_cannot_be_used_stops_the_start_with_one_message(tmp_path, files):
    done = run_command(tmp_path, "run", PU_TLS_CERT=str(files[0]), PU_TLS_KEY=str(files[0]))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "PU_TLS_KEY" in done.stderr


def test_https_added_later_is_what_devices_are_told(tmp_path, files):
    """The port speaks nothing but HTTPS then, so that a kept `http` would lead nowhere."""
    first = json.loads(_config(tmp_path))
    assert first["PU_SECURE"] is False
    with GatewayProcess(tmp_path) as gateway:
        gateway.wait_until_started()
    variables = {"PU_TLS_CERT": str(files[0]), "PU_TLS_KEY": str(files[1])}
    assert json.loads(_config(tmp_path, **variables))["PU_SECURE"] is True
    assert json.loads(_config(tmp_path, **variables, PU_SECURE="false"))["PU_SECURE"] is False


def _config(folder, **variables):
    done = run_command(folder, "config", **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout
