"""Reading PU_* variables: precedence, messages that name the variable, secrets that never show."""

import pytest

from pepeunit_gateway.errors import SettingsError
from pepeunit_gateway.settings import read_settings, unknown_variables

SECRET = "this-value-must-never-be-printed-anywhere"


def test_the_defaults_need_nothing(tmp_path):
    settings = read_settings({}, tmp_path)
    assert (settings.http_host, settings.http_port, settings.mqtt_port) == ("127.0.0.1", 8080, 1883)
    assert (settings.broker, settings.registration, settings.api_prefix) == ("mosquitto", "closed", "/pepeunit/api/v1")


def test_the_environment_wins_over_the_env_file(tmp_path):
    (tmp_path / ".env").write_text("PU_HTTP_PORT=1111\nPU_MQTT_PORT=2222\n")
    settings = read_settings({"PU_HTTP_PORT": "3333"}, tmp_path)
    assert (settings.http_port, settings.mqtt_port) == (3333, 2222)


def test_an_empty_variable_counts_as_unset(tmp_path):
    assert read_settings({"PU_HTTP_PORT": ""}, tmp_path).http_port == 8080


def test_every_wrong_variable_is_named_in_one_message_without_its_value(tmp_path):
    with pytest.raises(SettingsError) as caught:
        read_settings({"PU_HTTP_PORT": "99999", "PU_BROKER": "rabbit", "PU_SECRET_KEY": "short"}, tmp_path)
    for name in ("PU_HTTP_PORT", "PU_BROKER", "PU_SECRET_KEY"):
        assert name in caught.value.message
    assert "short" not in caught.value.message.replace("shorter", "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PU_BROKER", "emqx"),
        ("PU_SQLALCHEMY_DATABASE_URL", f"postgresql://user:{SECRET}@localhost/db"),
        ("PU_REDIS_URL", f"redis://:{SECRET}@localhost:6379/0"),
        ("PU_CLICKHOUSE_DATABASE_URL", f"clickhouse+native://user:{SECRET}@localhost/db"),
    ],
)
def test_a_part_that_does_not_exist_yet_stops_the_start_and_says_what_to_do(tmp_path, name, value):
    with pytest.raises(SettingsError, match=f"{name}.*unset") as caught:
        read_settings({name: value}, tmp_path)
    assert SECRET not in caught.value.message


def test_variables_without_effect_are_listed(tmp_path):
    (tmp_path / ".env").write_text("PU_TELEGRAM_TOKEN=x\n")
    found = unknown_variables({"PU_GRAFANA_ADMIN_USER": "x", "PU_HTTP_PORT": "1", "HOME": "/"}, tmp_path)
    assert found == ["PU_GRAFANA_ADMIN_USER", "PU_TELEGRAM_TOKEN"]


def test_secrets_do_not_show_in_a_repr(tmp_path):
    settings = read_settings({"PU_SECRET_KEY": SECRET}, tmp_path)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump(mode="json"))
