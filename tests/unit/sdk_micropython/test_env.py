"""env.py in the real MicroPython."""

import json

import pytest

from tests.support.micropython import UUID, env, run_script, token


def test_values_are_attributes_and_a_missing_one_is_named(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env(FAN_LIMIT=3, FLAG="true", PORT="17", WORD="x")))
    run_script(
        """
import pepeunit.env as env

values = env.load(".")
assert values.FAN_LIMIT == values["FAN_LIMIT"] == values.get("FAN_LIMIT") == 3
assert values.get("GONE") is None and values.get("GONE", 5) == 5
assert "FAN_LIMIT" in values and "GONE" not in values
assert values.flag("FLAG") and not values.flag("GONE")
assert values.number("PORT", 1) == 17 and values.number("WORD", 1) == 1
assert values.PU_AUTH_TOKEN not in repr(values)
for read, kind in ((lambda: values.GONE, AttributeError), (lambda: values["GONE"], KeyError)):
    try:
        read()
    except kind as error:
        assert "env.json has no key GONE" in str(error) and "env_example.json" in str(error)
    else:
        raise AssertionError(kind)
""",
        tmp_path,
    )


def test_the_uuid_comes_from_the_token_in_the_url_safe_alphabet(tmp_path):
    odd = token("ÿ?>~" + UUID)
    assert set("-_") & set(odd), "or the test shows nothing"
    run_script(
        f"""
import pepeunit.env as env
assert env.token_uuid({token()!r}) == {UUID!r}
assert env.token_uuid({odd!r}) == {"ÿ?>~" + UUID!r}
""",
        tmp_path,
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "there is no"),
        ("{", "is not JSON"),
        ('"{"', "is not JSON"),
        ("[1]", "no JSON object"),
        ("{}", "no PU_AUTH_TOKEN"),
        (json.dumps(env(PU_DOMAIN=" ")), "no PU_DOMAIN"),
        (json.dumps(env(PU_MQTT_HOST=5)), "no PU_MQTT_HOST"),
        (json.dumps(env(PU_MQTT_PORT=70000)), "no port number"),
        (json.dumps(env(PU_HTTP_TYPE="ftp")), "neither http nor https"),
        (json.dumps(env(PU_AUTH_TOKEN="secret.secret.secret")), "no token of a unit"),
    ],
)
def test_a_missing_or_broken_env_is_one_clear_error_without_secrets(tmp_path, data, why):
    if data is not None:
        (tmp_path / "env.json").write_text(data)
    out = run_script("from pepeunit import Unit\nUnit()", tmp_path, code=1)
    last = out.splitlines()[-1]
    assert last.startswith("EnvError: ")
    assert why in last
    assert "download" in last
    assert "secret" not in last


def test_store_keeps_the_previous_env_and_writes_nothing_twice(tmp_path):
    (tmp_path / "env.json").write_text('{"old": 1}')
    run_script(
        """
import pepeunit.env as env
env.store(".", b'{"new": 1}')
env.store(".", b'{"new": 1}')
""",
        tmp_path,
    )
    assert (tmp_path / "env.json").read_text() == '{"new": 1}'
    assert (tmp_path / "env.json.prev").read_text() == '{"old": 1}'
