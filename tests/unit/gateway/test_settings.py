"""Reading PU_* variables: precedence, messages that name the variable, secrets that never show."""

from pathlib import Path

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
        ("PU_SQLALCHEMY_DATABASE_URL", f"mysql://user:{SECRET}@localhost/db"),
        ("PU_CLICKHOUSE_DATABASE_URL", f"clickhouse+native://user:{SECRET}@localhost/db"),
    ],
)
def test_a_part_that_does_not_exist_yet_stops_the_start_and_says_what_to_do(tmp_path, name, value):
    with pytest.raises(SettingsError, match=f"{name}.*unset") as caught:
        read_settings({name: value}, tmp_path)
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("pepeunit:seCr@etPart@127.0.0.1:1/x", "write @ as %40"),
        ("pepeunit:seCr@et/Part@127.0.0.1:1/x", "write @ as %40"),
        ("pepeunit:seCr?etPart@seCr@127.0.0.1/x", "write @ as %40"),
        ("pepeunit:p@seCr:etPart/x", "must be a port"),
        ("pepeunit:p@one:1,two:2/x", "must be a port"),
    ],
)
@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_a_password_with_a_bare_at_sign_is_explained_and_no_part_of_it_shown(tmp_path, scheme, address, said):
    with pytest.raises(SettingsError, match=f"PU_SQLALCHEMY_DATABASE_URL: .*{said}") as caught:
        read_settings({"PU_SQLALCHEMY_DATABASE_URL": f"{scheme}://{address}"}, tmp_path)
    assert "seCr" not in caught.value.message
    assert "etPart" not in caught.value.message


@pytest.mark.parametrize(
    "address", ["/x?host=/run/postgresql", "u@[::1]:5432/x", "u:a%40b@h/x", "u:a/b@h:1/x", "u@h/x?sslmode=require", "h"]
)
def test_addresses_of_postgresql_that_are_meant_as_they_are_read_pass(tmp_path, address):
    given = f"postgresql://{address}"
    settings = read_settings({"PU_SQLALCHEMY_DATABASE_URL": given}, tmp_path)
    assert settings.sqlalchemy_database_url.get_secret_value() == given


def test_w38_variables_without_effect_are_listed(tmp_path):
    """W38: PU_MIN_TOPIC_UPDATE_TIME was accepted and read by nothing."""
    (tmp_path / ".env").write_text("PU_TELEGRAM_TOKEN=x\n")
    found = unknown_variables(
        {"PU_GRAFANA_ADMIN_USER": "x", "PU_HTTP_PORT": "1", "PU_MIN_TOPIC_UPDATE_TIME": "1", "HOME": "/"}, tmp_path
    )
    assert found == ["PU_GRAFANA_ADMIN_USER", "PU_MIN_TOPIC_UPDATE_TIME", "PU_TELEGRAM_TOKEN"]


def test_secrets_do_not_show_in_a_repr(tmp_path):
    settings = read_settings({"PU_SECRET_KEY": SECRET}, tmp_path)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump(mode="json"))


PATHS = ["PU_DATA_DIR", "PU_SAVE_REPO_PATH", "PU_GIT_ALLOW_FILE"]


def _path(settings, variable):
    return Path(str(getattr(settings, variable.removeprefix("PU_").lower())))


@pytest.mark.parametrize("variable", PATHS)
def test_a_relative_path_lies_in_the_working_directory(tmp_path, variable):
    """Git works in `/`: what is relative for us would be something else for it."""
    assert _path(read_settings({variable: "some/where"}, tmp_path), variable) == tmp_path / "some/where"
    (tmp_path / ".env").write_text(f"{variable}=./where\n")
    assert _path(read_settings({}, tmp_path), variable) == tmp_path / "where"


@pytest.mark.parametrize("variable", PATHS)
def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch, variable):
    monkeypatch.setenv("HOME", "/home/of/mine")
    assert _path(read_settings({variable: "~/pepe"}, tmp_path), variable) == Path("/home/of/mine/pepe")


@pytest.mark.parametrize("variable", PATHS)
def test_an_absolute_path_stays_as_it_is(tmp_path, variable):
    assert _path(read_settings({variable: "/srv/pepe"}, tmp_path), variable) == Path("/srv/pepe")


@pytest.mark.parametrize("variable", PATHS)
def test_the_home_folder_of_nobody_is_named(tmp_path, variable):
    with pytest.raises(SettingsError, match=f"{variable}: begins with the home folder of a user who has none"):
        read_settings({variable: "~nobody-of-this-name/x"}, tmp_path)


def test_every_folder_of_git_repositories_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/mine")
    settings = read_settings({"PU_GIT_ALLOW_FILE": "~/git::near:/srv/git"}, tmp_path)
    assert settings.git_file_folders == (Path("/home/of/mine/git"), (tmp_path / "near").resolve(), Path("/srv/git"))


def test_mirrors_lie_in_the_data_folder_unless_set(tmp_path):
    assert read_settings({"PU_DATA_DIR": "data"}, tmp_path).repo_path == tmp_path / "data" / "repo_cache"


@pytest.mark.parametrize(
    ("xdg", "expected"),
    [("", "/home/of/mine/.local/share/pepeunit"), ("relative", "/home/of/mine/.local/share/pepeunit"),
     ("/var/xdg", "/var/xdg/pepeunit")],
)  # fmt: skip
def test_the_default_data_folder_follows_an_absolute_xdg_data_home(tmp_path, monkeypatch, xdg, expected):
    monkeypatch.setenv("HOME", "/home/of/mine")
    monkeypatch.setenv("XDG_DATA_HOME", xdg)
    assert read_settings({}, tmp_path).data_dir == Path(expected)


@pytest.mark.parametrize(
    "value",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:",
     "sqlite:///file::memory:?uri=true", "sqlite:///?cache=shared", "sqlite://pepeunit.sqlite3", "sqlite:////srv/"],
)  # fmt: skip
def test_a_database_that_is_no_file_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match=r"PU_SQLALCHEMY_DATABASE_URL: must name a file.*in memory.*Unset it"):
        read_settings({"PU_SQLALCHEMY_DATABASE_URL": value}, tmp_path)


@pytest.mark.parametrize("value", ["sqlite:////srv/x.sqlite3", "sqlite:///x.db", "sqlite+aiosqlite:////srv/a b.db"])
def test_a_database_in_a_file_is_taken(tmp_path, value):
    settings = read_settings({"PU_SQLALCHEMY_DATABASE_URL": value}, tmp_path)
    assert settings.sqlalchemy_database_url.get_secret_value() == value


@pytest.mark.parametrize(
    "value",
    [":8080", ":", "host:", "host:0", "host:65536", "host:123456789", "host:80a", "host:²", "http://host", "host/x",
     "a b", "-host", "host-", "a..b", "1.2.3.4.5", "300.1.1.1", "a_b", "[::1]:80", "h" * 64, "host\n"],
)  # fmt: skip
def test_a_domain_that_leads_nowhere_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match="PU_DOMAIN: must be a host, or host:port") as caught:
        read_settings({"PU_DOMAIN": value}, tmp_path)
    assert "from 1 to 65535" in caught.value.message


@pytest.mark.parametrize("value", ["localhost", "localhost:1", "Devices.example.org:65535", "192.0.2.1:8080", "a-b.c1"])
def test_a_domain_is_a_host_with_or_without_a_port(tmp_path, value):
    assert read_settings({"PU_DOMAIN": value}, tmp_path).domain == value


@pytest.mark.parametrize(
    "value",
    ["mqtt://host", "host:1883", "a b", " host", "host/", "[2001:db8::1]", "user@host", "-x", "10.0.0", "host\n", "."],
)
def test_an_mqtt_host_that_is_none_is_refused(tmp_path, value):
    with pytest.raises(SettingsError, match=r"PU_MQTT_HOST: must be a host name or an IP address alone.*PU_MQTT_PORT"):
        read_settings({"PU_MQTT_HOST": value}, tmp_path)


@pytest.mark.parametrize("value", ["broker.example.org", "mosquitto_1", "192.0.2.1", "2001:db8::1", "localhost"])
def test_an_mqtt_host_is_a_name_or_an_address(tmp_path, value):
    assert read_settings({"PU_MQTT_HOST": value}, tmp_path).mqtt_host == value
