"""What to type for this program."""

import pytest

from pepeunit_tools.program import called


@pytest.fixture
def running(tmp_path, monkeypatch):
    path = tmp_path / "a checkout" / "pepeunit"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(path), "unit", "download"])
    return path


def test_the_name_is_enough_where_the_shell_finds_this_very_program(running):
    assert called(str(running.parent)) == "pepeunit"


def test_the_path_is_given_where_the_shell_finds_none_or_another(running, tmp_path):
    other = tmp_path / "other" / "pepeunit"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert called(str(tmp_path)) == f"'{running}'"
    assert called(str(other.parent)) == f"'{running}'"


def test_a_link_on_the_path_is_this_program(running, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pepeunit").symlink_to(running)
    assert called(str(tmp_path / "bin")) == "pepeunit"


def test_what_was_not_started_by_the_command_says_just_the_name(monkeypatch):
    monkeypatch.setattr("sys.argv", ["-c"])
    assert called("") == "pepeunit"
