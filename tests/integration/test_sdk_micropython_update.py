"""Updates, env_update and schema_update in the real MicroPython. Rows S… are those of protocol/pitfalls.md."""

import json

import pytest

from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer, archive, digest, packed
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, Program, env, schema, token
from tests.support.unit_folder import live_files

PROGRAM = """
import pepeunit.commands as commands
import pepeunit.http as http
http.READ_TIMEOUT = 1
commands._FIRST_RETRY_MS = 50

from pepeunit import Unit
import part

unit = Unit()

@unit.on_connect
async def connected():
    print(part.NAME, "now connected", unit.installed_commit)

@unit.on_input("fan/pepeunit")
async def fan(message):
    print("fan", message.text)

unit.run()
"""
NEXT = "b" * 40
FIRMWARE = "/units/firmware/tgz/{unit}"
ENV = "/units/env/{unit}"
SCHEMA = "/units/get_current_schema/{unit}"
TARGET = "/units/get_target_version/{unit}"
UPDATE = json.dumps({"COMMAND": "Update", "PU_COMMIT_VERSION": NEXT})


def topic(name: str) -> str:
    return f"{DOMAIN}/input_base_topic/{UUID}/{name}/pepeunit"


def node(name: str) -> str:
    return f"{DOMAIN}/{NODES[name]}/pepeunit"


STATE = f"{DOMAIN}/output_base_topic/{UUID}/state/pepeunit"


class Bench:
    def __init__(self, program, broker, server) -> None:
        self.program, self.broker, self.server = program, broker, server
        self.env = env(server.port, broker.port)

    def files(self, **changes: bytes) -> dict[str, bytes]:
        return {
            "main.py": PROGRAM.encode(),
            "part.py": b'NAME = "new"\n',
            "lib/big.py": b"# big\n" * 2000,
            "env.json": json.dumps({**self.env, "PU_COMMIT_VERSION": NEXT}).encode(),
            "schema.json": json.dumps(schema()).encode(),
            **changes,
        }

    def offer(self, tar: bytes, **changes) -> None:
        body = packed(tar)
        self.server.answers.setdefault(FIRMWARE, []).append(
            Answer(**{"body": body, "headers": digest(body), **changes})
        )

    def live(self) -> dict[str, bytes]:
        """Every file that belongs to the program, the unit and its user."""
        return live_files(self.program.directory)


@pytest.fixture
async def bench(tmp_path):
    async with DeviceBroker(tmp_path) as broker, DeviceServer(UUID) as server:
        server.json(TARGET, {"commit": COMMIT, "tag": None})
        bench = Bench(Program(tmp_path / "unit"), broker, server)
        bench.program.write(PROGRAM, bench.env, schema())
        (bench.program.directory / "part.py").write_text('NAME = "old"\n')
        (bench.program.directory / "notes.txt").write_text("of the user")
        yield bench


async def test_an_update_replaces_the_program_as_a_whole_and_asks_for_a_restart(bench):
    bench.offer(archive(bench.files()))
    async with bench.program as program:
        await program.prints("old now connected")
        await bench.broker.send(topic("update"), UPDATE)
        assert await program.exit_code() == 75
        assert program.installed()["commit"] == NEXT
        assert sorted(program.installed()["files"]) == sorted(bench.files())
        assert bench.live() == {
            **bench.files(),
            "notes.txt": b"of the user",
            "env.json.prev": json.dumps(bench.env).encode(),
        }
        assert sorted(path.name for path in (program.directory / ".pepeunit").iterdir()) == ["installed.json"]
        await program.start()
        await program.prints(f"new now connected {NEXT}")
        await bench.broker.until(lambda: len(bench.broker.payloads(STATE)) >= 2)
    assert json.loads(bench.broker.payloads(STATE)[-1])["pu_commit_version"] == NEXT
    call = next(call for call in bench.server.calls if call.path == FIRMWARE)
    assert call.query == {"wbits": "9", "level": "9"}
    assert call.headers["x-auth-token"] == token()


async def test_connection_and_update_fit_in_a_heap_of_160_kb(bench):
    bench.offer(archive(bench.files()))
    bench.program.heap = "160k"
    async with bench.program as program:
        await program.prints("old now connected")
        await bench.broker.send(topic("update"), UPDATE)
        assert await program.exit_code() == 75
        await program.start()
        await program.prints("new now connected")
    assert not [line for line in program.output if "MemoryError" in line]


async def test_files_that_a_later_version_lacks_are_removed_and_what_is_not_ours_stays(bench):
    bench.offer(archive(bench.files(**{"lib/old/gone.py": b"", "kept.py": b"1"})))
    async with bench.program as program:
        await program.prints("old now connected")
        await bench.broker.send(topic("update"), UPDATE)
        assert await program.exit_code() == 75
        third = "c" * 40
        bench.server.answers[FIRMWARE].clear()
        bench.offer(
            archive(bench.files(**{"env.json": json.dumps({**bench.env, "PU_COMMIT_VERSION": third}).encode()}))
        )
        (program.directory / "lib" / "mine.txt").write_text("of the user")
        await program.start()
        await program.prints("new now connected")
        await bench.broker.send(topic("update"), UPDATE.replace(NEXT, third))
        assert await program.exit_code() == 75
    live = bench.live()
    assert "kept.py" not in live
    assert not (program.directory / "lib" / "old").exists()
    assert live["lib/mine.txt"] == live["notes.txt"] == b"of the user"
    assert program.installed()["commit"] == third


async def test_an_update_to_the_installed_commit_is_passed_over(bench):
    bench.offer(archive(bench.files()))
    async with bench.program as program:
        await program.prints("old now connected")
        await bench.broker.send(topic("update"), UPDATE.replace(NEXT, COMMIT))
        await bench.broker.send(node("fan/pepeunit"), "after")
        await program.prints("fan after")
        await bench.server.until(lambda: TARGET in bench.server.paths())
        assert program.running
    assert FIRMWARE not in bench.server.paths()


async def test_a_gateway_that_sends_drop_by_drop_is_given_up_and_asked_again(bench):
    bench.program.write(PROGRAM.replace("import part", "import part\ncommands._TRY_LIMIT = 1"), bench.env, schema())
    bench.offer(archive(bench.files()), drop_every=0.3)
    bench.offer(archive(bench.files(**{"main.py": b"print('done')"})))
    async with bench.program as program:
        await program.prints("old now connected")
        await bench.broker.send(topic("update"), UPDATE)
        await program.prints("update failed, it will be tried again: it took longer than 1 s")
        assert await program.exit_code() == 75
    assert program.read("main.py") == b"print('done')"


async def test_a_missed_update_heals_at_the_next_connection(bench):
    bench.server.answers[TARGET].clear()
    bench.server.json(TARGET, {"commit": NEXT, "tag": None})
    bench.offer(archive(bench.files()))
    async with bench.program as program:
        assert await program.exit_code() == 75
    assert program.installed()["commit"] == NEXT


def _flipped(body: bytes) -> bytes:
    return body[:100] + bytes([body[100] ^ 4]) + body[101:]


def _foreign(bench) -> bytes:
    other = {**bench.env, "PU_AUTH_TOKEN": token("99999999-9999-4999-8999-999999999999")}
    return archive(bench.files(**{"env.json": json.dumps(other).encode()}))


def _without_env(bench) -> bytes:
    return archive({name: data for name, data in bench.files().items() if name != "env.json"})


# What the gateway offers instead of the good archive: (tar, changes of the answer).
FAULTS = {
    "status": lambda _, good: (good, {"status": 500, "body": b"{}"}),
    "cut": lambda _, good: (good, {"cut_after": len(packed(good)) // 2}),
    "stalled": lambda _, good: (good, {"stall_after": len(packed(good)) // 2}),
    "no digest": lambda _, good: (good, {"headers": {}}),
    "wrong digest": lambda _, good: (good, {"headers": digest(b"other")}),
    "flipped bit": lambda _, good: (good, {"body": _flipped(packed(good))}),
    "no archive": lambda _, _good: (b"this is no archive, only text" * 100, {}),
    "cut archive": lambda _, good: (good[: len(good) - 10240], {}),
    "foreign unit": lambda bench, _: (_foreign(bench), {}),
    "no env": lambda bench, _: (_without_env(bench), {}),
    "climbing name": lambda bench, _: (archive(bench.files(**{"../outside.py": b"out"})), {}),
    "own folder": lambda bench, _: (archive(bench.files(**{".pepeunit/installed.json": b"{}"})), {}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_update_touches_nothing_and_is_tried_again_s2_s3(bench, fault):
    good = archive(bench.files())
    tar, changes = FAULTS[fault](bench, good)
    bench.offer(tar, **changes)
    async with bench.program as program:
        await program.prints("old now connected")
        before = bench.live()
        await bench.broker.send(topic("update"), UPDATE)
        await bench.server.until(lambda: bench.server.paths().count(FIRMWARE) >= 2)
        assert bench.live() == before
        assert program.installed() == {"commit": COMMIT, "files": []}
        assert program.running
        await program.prints("Warning: update failed")
        bench.server.answers[FIRMWARE].clear()
        bench.offer(good)
        assert await program.exit_code() == 75
    assert bench.live().items() >= bench.files().items()
    assert program.installed()["commit"] == NEXT
    assert not (program.directory.parent / "outside.py").exists()


@pytest.mark.parametrize("path", [ENV, SCHEMA])
@pytest.mark.parametrize("fault", ["status", "cut", "stalled", "no json", "half json", "wrong type", "empty"])
async def test_a_failed_env_or_schema_download_never_touches_the_live_file_s1(bench, path, fault):
    name, command = ("env.json", "env_update") if path == ENV else ("schema.json", "schema_update")
    good = json.dumps({**bench.env, "NEW": 1} if path == ENV else schema(output_topic={})).encode()
    answers = {
        "status": Answer(b'{"detail": "oops"}', 500),
        "cut": Answer(good, cut_after=len(good) // 2),
        "stalled": Answer(good, stall_after=len(good) // 2),
        "no json": Answer(b"<html>gateway timeout</html>"),
        "half json": Answer(good[: len(good) // 2], chunked=True),
        "wrong type": Answer(b'["list"]'),
        "empty": Answer(b"{}"),
    }
    bench.server.answers[path] = [answers[fault]]
    async with bench.program as program:
        await program.prints("old now connected")
        before = program.read(name)
        await bench.broker.send(topic(command), "")
        await bench.server.until(lambda: bench.server.paths().count(path) >= 2)
        await program.prints(f"{command} failed")
        assert program.read(name) == before
        bench.server.answers[path] = [Answer(json.dumps(good.decode()).encode())]  # as a JSON string this time
        await program.prints(f"{name} is up to date")
        assert json.loads(program.read(name)) in (json.loads(good), good.decode())
        assert program.running


async def test_env_update_never_moves_the_installed_commit_not_even_by_a_restart_s4(bench):
    bench.server.json(ENV, {**bench.env, "PU_COMMIT_VERSION": NEXT})
    bench.offer(archive(bench.files()))
    async with bench.program as program:
        await program.prints("old now connected")
        before = program.read("env.json")
        await bench.broker.send(topic("env_update"), "")
        await program.prints("env.json is up to date")
        assert json.loads(program.read("env.json"))["PU_COMMIT_VERSION"] == NEXT
        assert program.read("env.json.prev") == before
        assert program.installed()["commit"] == COMMIT
        reported = len(bench.broker.payloads(STATE))
        await bench.broker.cut()
        await bench.broker.until(lambda: len(bench.broker.payloads(STATE)) > reported)
    reported = len(bench.broker.payloads(STATE))
    async with bench.program as program:  # now it starts with an env.json that names the next commit
        await bench.broker.until(lambda: len(bench.broker.payloads(STATE)) > reported)
        assert [json.loads(state)["pu_commit_version"] for state in bench.broker.payloads(STATE)] == [COMMIT] * 3
        assert program.installed()["commit"] == COMMIT
        await bench.broker.send(topic("update"), UPDATE)
        assert await program.exit_code() == 75, "the update is not refused"
    assert program.installed()["commit"] == NEXT


async def test_a_new_broker_or_token_is_used_at_once_s21(bench, tmp_path):
    (tmp_path / "second").mkdir()
    async with DeviceBroker(tmp_path / "second") as second:
        bench.server.json(ENV, {**bench.env, "PU_MQTT_PORT": second.port})
        async with bench.program as program:
            await program.prints("old now connected")
            await bench.broker.send(topic("env_update"), "")
            await second.until(lambda: second.payloads(STATE))
            await second.send(node("fan/pepeunit"), "from the second")
            await program.prints("fan from the second")


async def test_schema_update_subscribes_to_the_new_and_leaves_the_gone_topics_s20(bench):
    new = schema()
    linked = f"{DOMAIN}/{NODES['linked']}"
    added = f"{DOMAIN}/55555555-5555-4555-8555-555555555555"
    new["input_topic"] = {"fan/pepeunit": [node("fan/pepeunit"), added]}
    bench.server.json(SCHEMA, schema())  # asked for at the connection
    bench.server.json(SCHEMA, new)
    async with bench.program as program:
        await bench.server.until(lambda: SCHEMA in bench.server.paths())
        await bench.broker.send(topic("schema_update"), "")
        await bench.broker.until(lambda: added in bench.broker.subscribed and bench.broker.unsubscribed)
        assert set(bench.broker.unsubscribed) == {linked, node("light/pepeunit")}
        await bench.broker.send(added, "from the new link")
        await program.prints("fan from the new link")
        assert len(bench.broker.connects) == 1
        assert bench.broker.subscribed.count(node("fan/pepeunit")) == 1
