"""TLS of the SDK for boards: verified or refused, never silently unverified. Source: decisions.md 9."""

import json

import pytest

from tests.support.certificates import Authority
from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer, archive, digest, packed
from tests.support.micropython import UUID, Program, env, schema

PROGRAM = """
from pepeunit import Unit
unit = Unit()

@unit.on_connect
async def connected():
    print("now connected")

unit.run()
"""
NEXT = "b" * 40


@pytest.fixture(scope="module")
def authority():
    return Authority()


async def test_rest_and_mqtt_over_tls_carry_a_whole_update(tmp_path, authority):
    context = authority.server(tmp_path, "localhost")
    async with DeviceBroker(tmp_path, context=context) as broker, DeviceServer(UUID, context) as server:
        values = env(
            server.port,
            broker.port,
            PU_DOMAIN=f"localhost:{server.port}",
            PU_HTTP_TYPE="https",
            PU_MQTT_HOST="localhost",
            PU_MQTT_TLS=True,
            PU_CA_CERT=Authority("another one").pem + authority.pem,
        )
        files = {
            "main.py": b"print('new')",
            "env.json": json.dumps({**values, "PU_COMMIT_VERSION": NEXT}).encode(),
            "schema.json": json.dumps(schema()).encode(),
        }
        body = packed(archive(files))
        server.json("/units/get_target_version/{unit}", {"commit": NEXT, "tag": None})
        server.answers["/units/firmware/tgz/{unit}"] = [Answer(body, headers=digest(body))]
        program = Program(tmp_path / "unit")
        program.write(PROGRAM, values, schema())
        async with program:
            await program.prints("now connected")
            assert await program.exit_code() == 75
        assert program.installed()["commit"] == NEXT


@pytest.mark.parametrize("fault", ["no authority", "other authority", "other host"])
async def test_a_server_that_cannot_be_verified_gets_neither_token_nor_trust(tmp_path, authority, fault):
    host = "other.example" if fault == "other host" else "localhost"
    context = authority.server(tmp_path, host)
    pem = {"no authority": "", "other authority": Authority().pem, "other host": authority.pem}[fault]
    async with DeviceBroker(tmp_path, context=context) as broker, DeviceServer(UUID, context) as server:
        values = env(
            server.port, broker.port, PU_DOMAIN=f"localhost:{server.port}", PU_HTTP_TYPE="https",
            PU_MQTT_HOST="localhost", PU_MQTT_TLS=True, PU_CA_CERT=pem,
        )  # fmt: skip
        program = Program(tmp_path / "unit")
        main = PROGRAM.replace(
            "unit.run()",
            "import asyncio\ntry:\n    asyncio.run(unit.storage.load())\nexcept Exception as error:\n"
            "    print('storage:', type(error).__name__)\nunit.run()",
        )
        program.write(main, values, schema())
        async with program:
            await program.prints("storage: RestError")
            await program.prints("; trying again in ")
        assert not broker.connects
        assert not server.calls
        assert "now connected" not in program.output
