"""Addresses of git repositories as people type them; the rest is tested against a real gateway."""

import pytest

from pepeunit_tools.registration import address_problem


def test_a_path_gets_the_address_to_type_instead(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.git").mkdir()
    address = f"file://{tmp_path}/a%20b.git"
    for typed in (f"{tmp_path}/a b.git", "./a b.git", "a b.git"):
        assert address_problem(typed) == f"{typed} is a path; give its address: {address}"


@pytest.mark.parametrize("typed", ["https://host/a.git", "file:///srv/a.git", "git@host:a.git", "host/a.git"])
def test_everything_else_is_for_the_gateway_to_judge(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert address_problem(typed) is None
