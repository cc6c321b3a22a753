"""env_update and schema_update of the CPython SDK. Rows S… are those of protocol/pitfalls.md."""

import asyncio
import json
import stat

import pytest

from tests.support.cpython_bench import (
    ENV,
    NEXT,
    SCHEMA,
    STATE,
    TARGET,
    UPDATE,
    Bench,
    command,
    ends,
    node,
)
from tests.support.cpython_unit import DEADLINE, contents, logs, running, texts
from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer, archive, packed
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, schema, token


@pytest.fixture
async def bench(tmp_path):
    async with DeviceBroker(tmp_path) as broker, DeviceServer(UUID) as server:
        server.json(TARGET, {"commit": COMMIT, "tag": None})
        yield Bench(tmp_path / "unit", broker, server)


def live_faults(bench, good):
    return {
        "status": Answer(b'{"detail": "oops"}', 500),
        "cut": Answer(good, cut_after=len(good) // 2),
        "stalled": Answer(good, stall_after=len(good) // 2),
        "no json": Answer(b"<html>gateway timeout</html>"),
        "half json": Answer(good[: len(good) // 2], chunked=True),
        "wrong type": Answer(b'["list"]'),
        "empty": Answer(b"{}"),
        "nothing": Answer(b""),
        "redirect": Answer(good, 302, {"Location": f"http://127.0.0.1:{bench.server.port}/pepeunit/api/v1/elsewhere"}),
    }


@pytest.mark.parametrize("path", [ENV, SCHEMA])
@pytest.mark.parametrize("fault", list(live_faults(type("", (), {"server": type("", (), {"port": 0})}), b"")))
async def test_a_failed_env_or_schema_download_never_touches_the_live_file_s1(bench, path, fault):
    name, update = ("env.json", "env_update") if path == ENV else ("schema.json", "schema_update")
    values = {**bench.env, "NEW": 1} if path == ENV else schema(output_topic={"new": ["d/new"]})
    good = json.dumps(values).encode()
    bench.server.answers[path] = [live_faults(bench, good)[fault]]
    bench.server.json("/elsewhere", values)
    before = contents(bench.directory)
    async with running(bench.unit):
        await bench.command(update)
        await logs(bench.unit, f"{update.replace('_', ' ')} failed", times=2)
        assert contents(bench.directory) == before
        # At last a good answer, this time as a JSON string.
        bench.server.answers[path] = [Answer(json.dumps(good.decode()).encode())]
        await logs(bench.unit, f"{name} was updated")
    assert json.loads((bench.directory / name).read_bytes()) == values
    assert contents(bench.directory)[f"{name}.prev"] == before[name]
    assert "/elsewhere" not in bench.server.paths()
    assert token() not in texts(bench.unit)


async def test_env_update_never_moves_the_installed_commit_not_even_by_a_restart_s4(bench):
    bench.server.json(ENV, {**bench.env, "PU_COMMIT_VERSION": NEXT, "NEW": 5})
    bench.offer(archive(bench.files()))
    async with running(bench.unit):
        await bench.command("env_update")
        await logs(bench.unit, "env.json was updated")
        assert bench.unit.env.NEW == 5
        assert json.loads((bench.directory / "env.json").read_bytes())["PU_COMMIT_VERSION"] == NEXT
        assert stat.S_IMODE((bench.directory / "env.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((bench.directory / "env.json.prev").stat().st_mode) == 0o600
        assert bench.unit.installed_commit == bench.installed()["commit"] == COMMIT
        bench.broker.published.clear()
        await bench.broker.cut()
        await bench.broker.until(lambda: bench.broker.payloads(STATE))
        assert json.loads(bench.broker.payloads(STATE)[0])["pu_commit_version"] == COMMIT
    bench.broker.published.clear()
    async with running(bench.start()) as task:  # now it starts with an env.json that names the next commit
        await bench.broker.until(lambda: bench.broker.payloads(STATE))
        assert json.loads(bench.broker.payloads(STATE)[0])["pu_commit_version"] == COMMIT
        assert bench.unit.installed_commit == bench.installed()["commit"] == COMMIT
        await bench.broker.send(command("update"), UPDATE)
        assert await ends(task) == 75, "the update is not refused"
    assert bench.installed()["commit"] == NEXT


async def test_another_domain_in_env_json_brings_the_topics_that_begin_with_it(bench):
    bench.server.json(SCHEMA, schema())
    bench.server.json(ENV, {**bench.env, "PU_DOMAIN": f"localhost:{bench.server.port}"})
    async with running(bench.unit):
        await bench.server.until(lambda: SCHEMA in bench.server.paths())
        await bench.command("env_update")
        await bench.server.until(lambda: bench.server.paths().count(SCHEMA) == 2)
        assert bench.server.paths().index(ENV) < len(bench.server.paths()) - 1
        assert bench.server.calls[-1].headers["Host"].startswith("localhost:")


async def test_the_env_of_another_unit_is_refused_s1(bench):
    bench.server.json(ENV, {**bench.env, "PU_AUTH_TOKEN": token("99999999-9999-4999-8999-999999999999")})
    before = contents(bench.directory)
    async with running(bench.unit):
        await bench.command("env_update")
        await logs(bench.unit, "belongs to unit 99999999")
        assert contents(bench.directory) == before


async def test_a_new_broker_or_token_is_used_at_once_s21(bench, tmp_path):
    (tmp_path / "second").mkdir()
    async with DeviceBroker(tmp_path / "second") as second:
        bench.server.json(ENV, {**bench.env, "PU_MQTT_PORT": second.port})
        seen = asyncio.Queue()
        bench.unit.on_input("fan/pepeunit")(seen.put)
        async with running(bench.unit):
            await bench.command("env_update")
            await second.until(lambda: second.payloads(STATE))
            await second.send(node("fan/pepeunit"), "from the second")
            async with asyncio.timeout(DEADLINE):
                assert (await seen.get()).text == "from the second"


async def test_schema_update_subscribes_to_the_new_and_leaves_the_gone_topics_s20(bench):
    added = f"{DOMAIN}/55555555-5555-4555-8555-555555555555"
    new = schema(input_topic={"fan/pepeunit": [node("fan/pepeunit"), added]})
    bench.server.json(SCHEMA, schema())  # asked for at the connection
    bench.server.json(SCHEMA, new)
    seen = asyncio.Queue()
    bench.unit.on_input("fan/pepeunit")(seen.put)
    async with running(bench.unit):
        await bench.server.until(lambda: SCHEMA in bench.server.paths())
        await bench.command("schema_update")
        await bench.broker.until(lambda: added in bench.broker.subscribed and bench.broker.unsubscribed)
        assert set(bench.broker.unsubscribed) == {f"{DOMAIN}/{NODES['linked']}", node("light/pepeunit")}
        await bench.broker.send(added, "from the new link")
        async with asyncio.timeout(DEADLINE):
            message = await seen.get()
        assert (message.name, message.text) == ("fan/pepeunit", "from the new link")
    assert len(bench.broker.connects) == 1
    assert bench.broker.subscribed.count(node("fan/pepeunit")) == 1


async def test_downloads_hold_up_neither_messages_nor_timers_s17(bench):
    body = packed(archive(bench.files()), 15)
    bench.offer(archive(bench.files()), stall_after=len(body) // 2)
    seen = asyncio.Queue()
    bench.unit.on_input("fan/pepeunit")(seen.put)
    bench.unit._device.rest._timeout = DEADLINE
    async with running(bench.unit):
        await bench.command("update", UPDATE)
        await logs(bench.unit, "begins")
        await bench.broker.send(node("fan/pepeunit"), "meanwhile")
        async with asyncio.timeout(DEADLINE):
            assert (await seen.get()).text == "meanwhile"
