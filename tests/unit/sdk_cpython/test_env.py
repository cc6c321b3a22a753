import base64
import json

import pytest

from pepeunit.env import Env, parse_env, read_env, token_uuid
from pepeunit.errors import EnvError
from tests.support.micropython import UUID, env, token


def test_a_value_is_read_as_attribute_item_and_with_a_default():
    values = Env({"NAME": 3})
    assert (values.NAME, values["NAME"], values.get("OTHER", 7)) == (3, 3, 7)
    assert "NAME" in values


def test_an_absent_key_is_named_together_with_what_to_do():
    with pytest.raises(AttributeError, match="no key INTERVAL: add it to env_example"):
        _ = Env({"A": 1}).INTERVAL
    with pytest.raises(KeyError, match="INTERVAL"):
        _ = Env({"A": 1})["INTERVAL"]


def test_neither_repr_nor_an_absent_key_shows_a_secret():
    values = Env(env())
    with pytest.raises(AttributeError) as error:
        _ = values.NOTHING
    for shown in (repr(values), str(error.value)):
        assert token() not in shown
        assert "c2VjcmV0" not in shown


@pytest.mark.parametrize(("value", "number"), [(5, 5), ("5", 5), (5.0, 5), ("x", 9), (None, 9), ([], 9)])
def test_a_number_is_taken_from_text_and_replaced_where_it_is_none(value, number):
    assert Env({"N": value}).number("N", 9) == number


@pytest.mark.parametrize(("value", "flag"), [(True, True), ("true", True), ("False", False), (0, False), ("", False)])
def test_a_flag_is_taken_from_text(value, flag):
    assert Env({"PU_MQTT_TLS": value}).flag("PU_MQTT_TLS") is flag


def test_the_base_of_rest_calls_is_put_together_from_four_keys():
    assert Env(env(8080)).base_url() == "http://127.0.0.1:8080/pepeunit/api/v1"


@pytest.mark.parametrize("extra", ["", "?", "??", "???"])
def test_the_uuid_is_read_from_a_token_of_any_length_in_the_url_alphabet(extra):
    part = base64.urlsafe_b64encode(json.dumps({"x": "ÿþ" + extra, "uuid": UUID}).encode()).decode().rstrip("=")
    assert token_uuid(f"a.{part}.b") == UUID


@pytest.mark.parametrize("value", ["", "a", "a.b.c", "a.e30.c", "a.W10.c", "a.eyJ1dWlkIjoxfQ.c"])
def test_what_is_no_token_of_a_unit_is_refused_without_showing_it(value):
    with pytest.raises(EnvError, match=r"download env\.json"):
        token_uuid(value)


def test_an_env_that_comes_as_a_json_string_is_unwrapped():
    assert parse_env(json.dumps(json.dumps(env())).encode()) == env()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b"{}",
        b"[" * 5000,
        json.dumps(env(PU_AUTH_TOKEN="")).encode(),
        json.dumps(env(PU_DOMAIN=None)).encode(),
        json.dumps(env(PU_MQTT_HOST=" ")).encode(),
        json.dumps(env(PU_MQTT_PORT=70000)).encode(),
        json.dumps(env(PU_HTTP_TYPE="ftp")).encode(),
        json.dumps(env()).encode()[:-5],
    ],
)
def test_an_env_a_unit_could_not_live_with_is_refused_and_no_value_is_shown(data):
    with pytest.raises(EnvError) as error:
        parse_env(data)
    assert token() not in str(error.value)


def test_the_env_of_another_unit_is_refused():
    with pytest.raises(EnvError, match="belongs to unit other"):
        parse_env(json.dumps(env(PU_AUTH_TOKEN=token("other"))).encode(), unit_uuid=UUID)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(EnvError, match="pepeunit unit download NAME DIR"):
        read_env(tmp_path)
