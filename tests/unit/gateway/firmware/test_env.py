from dataclasses import replace

import pytest

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError
from pepeunit_gateway.firmware.env import PlatformEnv, check_typed, generated_env, merge_env, parse_env_example

PLATFORM = PlatformEnv(
    domain="example.org:8080",
    http_type="http",
    app_prefix="/pepeunit",
    api_prefix="/api/v1",
    mqtt_host="example.org",
    mqtt_port=1883,
    state_send_interval=60,
)
EXAMPLE = {"PU_DOMAIN": "", "PU_COMMIT_VERSION": "", "INTERVAL": 5, "NAME": "lamp"}
COMMIT = "c" * 40
GENERATED = {
    "PU_DOMAIN": "example.org:8080",
    "PU_HTTP_TYPE": "http",
    "PU_APP_PREFIX": "/pepeunit",
    "PU_API_ACTUAL_PREFIX": "/api/v1",
    "PU_MQTT_HOST": "example.org",
    "PU_MQTT_PORT": 1883,
    "PU_MQTT_PING_INTERVAL": 20,
    "PU_MQTT_KEEPALIVE": 60,
    "PU_AUTH_TOKEN": "token",
    "PU_SECRET_KEY": "secret",
    "PU_ENCRYPT_KEY": "encrypt",
    "PU_STATE_SEND_INTERVAL": 60,
    "PU_MIN_LOG_LEVEL": "Debug",
    "PU_MAX_LOG_LENGTH": 64,
}


def generated(example=EXAMPLE, platform=PLATFORM):
    return generated_env(platform, auth_token="token", secret_key="secret", encrypt_key="encrypt", example=example)


def test_the_platform_generates_the_fourteen_keys_of_the_contract():
    assert generated() == GENERATED


def test_w37_two_calls_give_the_same_env():
    first = merge_env(EXAMPLE, generated(), {"NAME": "x"}, COMMIT)
    second = merge_env(EXAMPLE, generated(), {"NAME": "x"}, COMMIT)
    assert first == second
    assert list(first) == list(second)


@pytest.mark.parametrize(("tls_port", "port", "tls"), [(None, 1883, False), (8883, 8883, True)])
def test_a_program_that_names_tls_is_told_whether_the_door_speaks_it(tls_port, port, tls):
    platform = replace(PLATFORM, mqtt_tls_port=tls_port, ca_cert="PEM")
    env = generated({"PU_MQTT_TLS": False}, platform)
    assert (env["PU_MQTT_PORT"], env["PU_MQTT_TLS"], env["PU_CA_CERT"]) == (port, tls, "PEM")


def test_a_program_that_does_not_name_tls_keeps_the_plain_port():
    env = generated({}, replace(PLATFORM, mqtt_tls_port=8883))
    assert env["PU_MQTT_PORT"] == 1883
    assert not {"PU_MQTT_TLS", "PU_CA_CERT"} & env.keys()


def test_layers_come_in_their_order_and_the_commit_is_the_target():
    env = merge_env(EXAMPLE, generated(), {"NAME": "door", "PU_MQTT_HOST": "10.0.0.2"}, COMMIT)
    assert (env["INTERVAL"], env["NAME"], env["PU_MQTT_HOST"]) == (5, "door", "10.0.0.2")
    assert env["PU_DOMAIN"] == "example.org:8080"
    assert env["PU_COMMIT_VERSION"] == COMMIT
    assert env.keys() == EXAMPLE.keys() | GENERATED.keys()


def test_a_stored_key_that_the_program_dropped_disappears():
    assert "OLD" not in merge_env(EXAMPLE, generated(), {"OLD": 1}, COMMIT)


@pytest.mark.parametrize("key", ["PU_AUTH_TOKEN", "PU_COMMIT_VERSION"])
def test_token_and_commit_cannot_be_typed(key):
    assert check_typed(EXAMPLE, generated(), {key: "mine"}) == {}
    assert merge_env(EXAMPLE, generated(), {key: "mine"}, COMMIT)[key] != "mine"


def test_only_values_that_differ_from_the_generated_ones_are_stored():
    everything = merge_env(EXAMPLE, generated(), {}, COMMIT)
    typed = {**everything, "PU_MQTT_PORT": 1884, "NAME": "door", "UNKNOWN": 1}
    assert check_typed(EXAMPLE, generated(), typed) == {"INTERVAL": 5, "NAME": "door", "PU_MQTT_PORT": 1884}


def test_a_value_of_another_json_type_differs():
    assert check_typed({}, generated(), {"PU_MQTT_PORT": 1883.0, "PU_MAX_LOG_LENGTH": True}) == {
        "PU_MQTT_PORT": 1883.0,
        "PU_MAX_LOG_LENGTH": True,
    }


def test_a_missing_env_example_says_what_to_add():
    with pytest.raises(GitRepoError, match=r"env_example\.json is missing"):
        parse_env_example(None)


def test_broken_json_in_env_example_names_the_line():
    with pytest.raises(CustomJSONDecodeError, match=r"env_example\.json, line 2"):
        parse_env_example(b'{"A": 1,\n"B" 2}')


def test_env_example_is_read():
    assert parse_env_example(b'{"A": 1}') == {"A": 1}
