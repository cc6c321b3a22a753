import json
import stat

import pytest

from pepeunit import DROPPED, QUEUED, RESTART_EXIT_CODE, EnvError, SchemaError, Unit, UnknownNameError
from pepeunit.session import MAX_PAYLOAD_BYTES
from pepeunit.unit import payload_of
from tests.support.micropython import COMMIT, UUID, env, schema


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env()))
    (tmp_path / "schema.json").write_text(json.dumps(schema()))
    return tmp_path


def installed(directory):
    return json.loads((directory / ".pepeunit/installed.json").read_text())


def test_a_unit_knows_its_uuid_env_schema_and_commit(directory):
    unit = Unit(directory)
    assert (unit.uuid, unit.env.PU_STATE_SEND_INTERVAL, unit.installed_commit) == (UUID, 60, COMMIT)
    assert unit.schema.topics("temp/pepeunit")
    assert unit.directory == directory


def test_the_first_start_records_the_installed_commit_and_no_later_env_moves_it_s4(directory):
    Unit(directory)
    assert installed(directory) == {"commit": COMMIT, "files": []}
    (directory / "env.json").write_text(json.dumps(env(PU_COMMIT_VERSION="f" * 40)))
    unit = Unit(directory)
    assert unit.env.PU_COMMIT_VERSION == "f" * 40
    assert unit.installed_commit == COMMIT
    assert stat.S_IMODE((directory / ".pepeunit").stat().st_mode) == 0o700


@pytest.mark.parametrize(("name", "error"), [("env.json", EnvError), ("schema.json", SchemaError)])
def test_a_missing_or_broken_file_is_named(directory, name, error):
    (directory / name).write_text("{")
    with pytest.raises(error, match=name):
        Unit(directory)
    (directory / name).unlink()
    with pytest.raises(error, match=name):
        Unit(directory)


def test_a_cut_switch_is_completed_and_the_program_started_again_s2(directory):
    staged = directory / ".pepeunit/next"
    staged.mkdir(parents=True)
    (staged / "main.py").write_text("new")
    journal = {"commit": "b" * 40, "deletes": [], "moves": ["main.py"], "files": ["main.py"]}
    (directory / ".pepeunit/switch.json").write_text(json.dumps(journal))
    with pytest.raises(SystemExit) as end:
        Unit(directory)
    assert end.value.code == RESTART_EXIT_CODE == 75
    assert (directory / "main.py").read_text() == "new"
    Unit(directory)


@pytest.mark.parametrize(
    ("value", "payload"),
    [
        ("text ü", "text ü".encode()),
        (b"\xff\x00", b"\xff\x00"),
        (bytearray(b"a"), b"a"),
        (5, b"5"),
        (21.5, b"21.5"),
        (True, b"true"),
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'.encode()),
        ([1, None], b"[1,null]"),
    ],
)
def test_values_become_the_documented_bytes(value, payload):
    assert payload_of(value) == payload


def test_other_values_are_refused():
    for value in (None, {1}, object()):
        with pytest.raises(TypeError, match="publish takes"):
            payload_of(value)


async def test_publish_says_queued_before_a_connection_and_dropped_when_it_can_never_be_sent(directory):
    unit = Unit(directory)
    assert await unit.publish("temp/pepeunit", 21.5) == QUEUED
    assert await unit.publish("temp/pepeunit", b"x" * (MAX_PAYLOAD_BYTES + 1)) == DROPPED
    with pytest.raises(UnknownNameError, match="no Output fan/pepeunit"):
        await unit.publish("fan/pepeunit", 1)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_timer_needs_a_positive_interval(directory, seconds):
    with pytest.raises(ValueError, match="positive"):
        Unit(directory).every(seconds=seconds)


def test_a_function_that_cannot_be_awaited_is_refused_where_it_is_decorated(directory):
    unit = Unit(directory)

    def plain(*_):
        pass

    decorators = {
        "on_input": unit.on_input("fan/pepeunit"),
        "on_command": unit.on_command("update/pepeunit"),
        "on_connect": unit.on_connect,
        "every": unit.every(seconds=1),
    }
    for name, decorate in decorators.items():
        with pytest.raises(TypeError, match=f"@unit.{name} needs an `async def` function: plain is none"):
            decorate(plain)


def test_a_decorator_without_its_name_is_refused(directory):
    unit = Unit(directory)

    async def handler(message):
        pass

    for name in ("on_input", "on_command"):
        with pytest.raises(TypeError, match=f"@unit.{name} needs a name of schema.json"):
            getattr(unit, name)(handler)


def test_a_unit_that_was_stopped_before_it_runs_ends_with_zero(directory):
    unit = Unit(directory)
    unit.stop()
    with pytest.raises(SystemExit) as end:
        unit.run()
    assert end.value.code == 0


def test_neither_a_secret_file_nor_a_repr_shows_the_token(directory):
    unit = Unit(directory)
    assert env()["PU_AUTH_TOKEN"] not in repr(unit) + repr(unit.env) + repr(unit.schema)
