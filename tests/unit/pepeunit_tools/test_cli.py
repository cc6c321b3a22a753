"""Exit codes and the one line on stderr; nothing here reaches a gateway."""

import socket

import pytest

from pepeunit_tools.cli import main
from pepeunit_tools.session import KeptLogin, login_file, save


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return login_file({"XDG_CONFIG_HOME": str(tmp_path / "config")})


@pytest.mark.parametrize(
    "arguments",
    [
        ["unit", "list"],
        ["unit", "logs", "kitchen"],
        ["unit", "download", "kitchen"],
        ["unit", "command", "kitchen", "LogSync"],
        ["repo", "list", "--json"],
        ["node", "set", "kitchen", "fan", "-5"],
        ["node", "set", "kitchen:fan", "-5"],
        ["node", "link", "kitchen:temperature", "hall:fan"],
        ["node", "unlink", "kitchen:temperature", "hall:fan"],
        ["node", "links", "kitchen"],
        ["repo", "remove", "heating"],
        ["unit", "command", "kitchen", "logsync"],
        ["unit", "env", "kitchen", "SPEED=5"],
        ["unit", "show", "kitchen"],
        ["unit", "remove", "kitchen", "--yes"],
    ],
)
def test_without_a_login_each_command_says_how_to_log_in(arguments, capsys):
    assert main(arguments) == 1
    said = capsys.readouterr()
    expected = f"pepeunit {arguments[0]}: you are not logged in; first run: pepeunit login URL --login NAME\n"
    assert (said.out, said.err) == ("", expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["login"], "give both"),
        (["login", "http://127.0.0.1:8080"], "give both"),
        (["login", "127.0.0.1:8080", "--login", "alice"], "give the gateway's address"),
        (["unit", "list", "--nope"], "No such option"),
        (["unit", "command", "kitchen", "Reset"], "Reset"),
        (["unit", "create", "kitchen"], "--repo"),
        (["unit", "create", "kitchen", "--repo", "heating", "--visibility", "Secret"], "Secret"),
        (["repo", "add", "https://example.org/a.git"], "--name"),
        (["repo", "nope"], "nope"),
        (["node", "link", "kitchen", "hall:fan"], "UNIT:NODE"),
        (["node", "link", "kitchen:t", ":fan"], "UNIT:NODE"),
        (["node", "unlink", "kitchen:t", "hall"], "UNIT:NODE"),
        (["node", "set", "kitchen"], "UNIT:NODE"),
        (["node", "set", "kitchen", "5"], "UNIT:NODE"),
        (["node", "set", "kitchen:fan", "5", "6", "7"], "UNIT:NODE"),
        (["repo", "add", "/srv/a.git", "--name", "heating", "--branch", "main"], "file:///srv/a.git"),
        (["unit", "remove", "kitchen"], "--yes"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(arguments, said, capsys):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_help_ends_with_0_and_names_the_commands(capsys):
    assert main(["unit", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(
        command in said for command in ("create", "list", "show", "download", "env", "command", "logs", "remove")
    )


def test_a_gateway_that_is_not_there_is_named(config, capsys):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{bound.getsockname()[1]}"
        save(config, KeptLogin(f"{origin}/pepeunit/api/v1", "alice", "token"))
        assert main(["unit", "list"]) == 1
    assert capsys.readouterr().err == f"pepeunit unit: cannot reach {origin}: Connection refused\n"


def test_a_folder_that_is_not_empty_is_refused_before_anything_is_asked(tmp_path, capsys):
    (tmp_path / "kitchen").mkdir()
    (tmp_path / "kitchen" / "mine").touch()
    assert main(["unit", "download", "kitchen"]) == 1
    assert capsys.readouterr().err == "pepeunit unit: kitchen is not empty; name another folder or empty it\n"


def test_logging_out_twice_is_no_failure(config, capsys):
    save(config, KeptLogin("http://127.0.0.1:1/pepeunit/api/v1", "alice", "token"))
    assert main(["login", "--logout"]) == main(["login", "--logout"]) == 0
    assert capsys.readouterr().out == "logged out\nthere was no login\n"
    assert not config.exists()
