"""Updates of the CPython SDK. Rows S… are those of protocol/pitfalls.md."""

import asyncio
import json
import stat
import zlib

import pytest

import pepeunit.rest
from tests.support.cpython_bench import (
    ENV,
    FIRMWARE,
    NEXT,
    STATE,
    TARGET,
    UPDATE,
    Bench,
    command,
    ends,
    node,
)
from tests.support.cpython_unit import DEADLINE, contents, lay_out, logs, program, running, texts
from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer, archive, digest, packed
from tests.support.micropython import COMMIT, UUID, env, schema, token


@pytest.fixture
async def bench(tmp_path):
    async with DeviceBroker(tmp_path) as broker, DeviceServer(UUID) as server:
        server.json(TARGET, {"commit": COMMIT, "tag": None})
        yield Bench(tmp_path / "unit", broker, server)


async def test_an_update_replaces_the_program_as_a_whole_and_asks_for_a_restart(bench):
    bench.offer(archive(bench.files()))
    async with running(bench.unit) as task:
        await bench.command("update", UPDATE)
        assert await ends(task) == 75
    assert bench.installed() == {"commit": NEXT, "files": ["lib/part.py", "main.py"]}
    assert contents(bench.directory) == {
        **bench.files(),
        "notes.txt": b"of the user",
        "env.json.prev": json.dumps(bench.env).encode(),
    }
    assert [path.name for path in (bench.directory / ".pepeunit").iterdir()] == ["installed.json"]
    assert stat.S_IMODE((bench.directory / "env.json").stat().st_mode) == 0o600
    call = next(call for call in bench.server.calls if call.path == FIRMWARE)
    assert call.query == {"wbits": "15", "level": "9"}
    assert call.headers["x-auth-token"] == token()
    bench.broker.published.clear()
    async with running(bench.start()):
        await bench.broker.until(lambda: bench.broker.payloads(STATE))
    assert json.loads(bench.broker.payloads(STATE)[0])["pu_commit_version"] == NEXT


async def test_files_that_a_later_version_lacks_are_removed_and_what_is_not_ours_stays(bench):
    bench.offer(archive(bench.files(**{"lib/old/gone.py": b"", "kept.py": b"1"})))
    async with running(bench.unit) as task:
        await bench.command("update", UPDATE)
        assert await ends(task) == 75
    third = "c" * 40
    bench.server.answers[FIRMWARE].clear()
    bench.offer(archive(bench.files(**{"env.json": json.dumps({**bench.env, "PU_COMMIT_VERSION": third}).encode()})))
    (bench.directory / "lib/mine.txt").write_text("of the user")
    async with running(bench.start()) as task:
        await bench.command("update", UPDATE.replace(NEXT, third))
        assert await ends(task) == 75
    assert "kept.py" not in contents(bench.directory)
    assert not (bench.directory / "lib/old").exists()
    assert contents(bench.directory)["lib/mine.txt"] == b"of the user"
    assert bench.installed()["commit"] == third


async def test_an_update_to_the_installed_commit_is_passed_over(bench):
    seen = asyncio.Queue()
    bench.unit.on_input("fan/pepeunit")(seen.put)
    async with running(bench.unit) as task:
        await bench.command("update", UPDATE.replace(NEXT, COMMIT))
        await bench.broker.send(node("fan/pepeunit"), "after")
        async with asyncio.timeout(DEADLINE):
            await seen.get()
        await bench.server.until(lambda: TARGET in bench.server.paths())
        assert not task.done()
    assert FIRMWARE not in bench.server.paths()


@pytest.mark.parametrize("payload", ["", "{", "[]", '{"COMMAND": "Update"}', '{"PU_COMMIT_VERSION": 5}'])
async def test_an_update_without_a_commit_asks_for_the_target(bench, payload):
    async with running(bench.unit) as task:
        await bench.server.until(lambda: TARGET in bench.server.paths())
        bench.server.answers[TARGET].clear()
        bench.server.json(TARGET, {"commit": NEXT, "tag": None})
        bench.offer(archive(bench.files()))
        await bench.command("update", payload)
        assert await ends(task) == 75
    assert bench.installed()["commit"] == NEXT


async def test_a_missed_update_heals_at_the_next_connection(bench):
    bench.server.answers[TARGET].clear()
    bench.server.json(TARGET, {"commit": NEXT, "tag": None})
    bench.offer(archive(bench.files()))
    async with running(bench.unit) as task:
        assert await ends(task) == 75
    assert bench.installed()["commit"] == NEXT


def _flipped(body):
    return body[:60] + bytes([body[60] ^ 4]) + body[61:]


def _foreign(bench):
    other = {**bench.env, "PU_AUTH_TOKEN": token("99999999-9999-4999-8999-999999999999"), "PU_COMMIT_VERSION": NEXT}
    return archive(bench.files(**{"env.json": json.dumps(other).encode()}))


def _with(bench, **files):
    return archive(bench.files(**files))


def _without(bench, name):
    return archive({key: data for key, data in bench.files().items() if key != name})


# What the gateway offers instead of the good archive: (tar, changes of the answer).
FAULTS = {
    "status": lambda _, good: (good, {"status": 500, "body": b"{}"}),
    "busy": lambda _, good: (good, {"status": 429, "body": b"{}", "headers": {"Retry-After": "0"}}),
    "redirect": lambda bench, good: (
        good,
        {"status": 302, "headers": {"Location": f"http://127.0.0.1:{bench.server.port}/pepeunit/api/v1/elsewhere"}},
    ),
    "cut": lambda _, good: (good, {"cut_after": len(packed(good, 15)) // 2}),
    "stalled": lambda _, good: (good, {"stall_after": len(packed(good, 15)) // 2}),
    "no digest": lambda _, good: (good, {"headers": {}}),
    "digest of another algorithm": lambda _, good: (good, {"headers": {"Repr-Digest": "md5=:AAAA:"}}),
    "wrong digest": lambda _, good: (good, {"headers": digest(b"other")}),
    "flipped bit": lambda _, good: (good, {"body": _flipped(packed(good, 15))}),
    "flipped bit, digest of it": lambda _, good: (
        good,
        {"body": _flipped(packed(good, 15)), "headers": digest(_flipped(packed(good, 15)))},
    ),
    "no archive": lambda _, _good: (b"this is no archive, only text" * 100, {}),
    "cut archive": lambda _, good: (good[: len(good) - 10240], {}),
    "gzip": lambda _, good: (good, {"body": packed(good, 31), "headers": digest(packed(good, 31))}),
    "foreign unit": lambda bench, _: (_foreign(bench), {}),
    "no env": lambda bench, _: (_without(bench, "env.json"), {}),
    "no schema": lambda bench, _: (_without(bench, "schema.json"), {}),
    "no commit": lambda bench, _: (_with(bench, **{"env.json": json.dumps(env(PU_COMMIT_VERSION="")).encode()}), {}),
    "climbing name": lambda bench, _: (_with(bench, **{"../outside.py": b"out"}), {}),
    "own folder": lambda bench, _: (_with(bench, **{".pepeunit/installed.json": b"{}"}), {}),
    "in the way": lambda bench, _: (_with(bench, **{"notes.txt/inside.py": b""}), {}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_update_touches_nothing_and_is_tried_again_s2_s3(bench, fault):
    good = archive(bench.files())
    tar, changes = FAULTS[fault](bench, good)
    bench.offer(tar, **changes)
    before = contents(bench.directory)
    async with running(bench.unit) as task:
        await bench.command("update", UPDATE)
        await logs(bench.unit, "update failed, it will be tried again", times=2)
        assert contents(bench.directory) == before
        assert bench.installed() == {"commit": COMMIT, "files": []}
        assert bench.unit.installed_commit == COMMIT
        assert not task.done()
        bench.server.answers[FIRMWARE].clear()
        bench.offer(good)
        assert await ends(task) == 75
    assert contents(bench.directory).items() >= bench.files().items()
    assert bench.installed()["commit"] == NEXT
    assert not (bench.directory.parent / "outside.py").exists()
    assert "/elsewhere" not in bench.server.paths()
    assert token() not in texts(bench.unit)


async def test_every_cut_of_the_download_leaves_the_old_version_and_the_next_try_succeeds_s2(bench):
    body = packed(archive(bench.files()), 15)
    cuts = range(0, len(body), 16)
    for length in cuts:
        bench.offer(archive(bench.files()), cut_after=length)
    bench.offer(archive(bench.files()))
    async with running(bench.unit) as task:
        await bench.command("update", UPDATE)
        assert await ends(task) == 75
    assert bench.server.paths().count(FIRMWARE) == len(cuts) + 1
    assert contents(bench.directory).items() >= bench.files().items()


async def test_a_bomb_is_refused_while_it_comes(bench):
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    bench.offer(b"", body=bomb, headers=digest(bomb))
    async with running(bench.unit):
        await bench.command("update", UPDATE)
        await logs(bench.unit, "update failed")
    assert (bench.directory / "main.py").read_bytes() == b"old"


async def test_an_answer_longer_than_a_unit_accepts_is_stopped(bench, monkeypatch):
    monkeypatch.setattr(pepeunit.rest, "_MAX_ANSWER", 1000)
    bench.server.json(ENV, {**bench.env, "LONG": "x" * 2000})
    async with running(bench.unit):
        await bench.command("env_update")
        await logs(bench.unit, "the answer is longer than 1000 bytes")


PROGRAM = """
from pepeunit import Unit
import part

unit = Unit()

@unit.on_connect
async def connected():
    await unit.publish("temp/pepeunit", part.NAME)

@unit.on_input("light/pepeunit")
async def light(message):
    unit.stop()

unit.run()
"""


async def test_a_real_program_is_updated_started_again_and_runs_all_new_code_s2_s8(tmp_path):
    async with DeviceBroker(tmp_path) as broker, DeviceServer(UUID) as server:
        server.json(TARGET, {"commit": COMMIT, "tag": None})
        # Both names have the same length: bytecode of the old one must not be taken for the new one's.
        directory = lay_out(
            tmp_path / "unit", env(server.port, broker.port), schema(), main_py=PROGRAM, part_py='NAME = "old"'
        )
        files = {
            "main.py": PROGRAM.encode(),
            "part.py": b'NAME = "new"',
            "env.json": json.dumps(env(server.port, broker.port, PU_COMMIT_VERSION=NEXT)).encode(),
            "schema.json": json.dumps(schema()).encode(),
        }
        body = packed(archive(files), 15)
        temp = node("temp/pepeunit")
        async with program(directory / "main.py") as process:
            await broker.until(lambda: broker.payloads(temp) == [b"old"])
            server.answers[TARGET] = []
            server.json(TARGET, {"commit": NEXT, "tag": None})
            server.answers[FIRMWARE] = [Answer(body, headers=digest(body))]
            await broker.send(command("update"), UPDATE)
            await broker.until(lambda: broker.payloads(temp) == [b"old", b"new"])
            await broker.until(lambda: json.loads(broker.payloads(STATE)[-1])["pu_commit_version"] == NEXT)
            await broker.send(node("light/pepeunit"), "")
            async with asyncio.timeout(DEADLINE):
                assert await process.wait() == 0
