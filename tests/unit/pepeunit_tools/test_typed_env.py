"""Settings as typed and as shown."""

import pytest

from pepeunit_tools.errors import UnknownNameError
from pepeunit_tools.typed_env import changes, shown

ENV = {"PU_DOMAIN": "host", "SPEED": 3, "PLACE": "hall", "PU_AUTH_TOKEN": "secret-token", "PU_COMMIT_VERSION": "a"}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("5", 5),
        ("-0.5", -0.5),
        ("true", True),
        ("null", None),
        ('"5"', "5"),
        ('{"a": [1]}', {"a": [1]}),
        ("living room", "living room"),
        ("", ""),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_json_if_it_reads_as_such_else_text(typed, value):
    assert changes([f"PLACE={typed}"], ENV) == {"PLACE": value}


def test_several_values_are_typed_at_once():
    assert changes(["SPEED=5", "PLACE=attic"], ENV) == {"SPEED": 5, "PLACE": "attic"}


@pytest.mark.parametrize("word", ["SPEED", "=5", ""])
def test_what_is_no_pair_is_refused(word):
    with pytest.raises(ValueError, match="KEY=VALUE"):
        changes([word], ENV)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("SPED=5", "no setting SPED; it has: PU_DOMAIN, SPEED, PLACE$"),
        ("PU_AUTH_TOKEN=x", "cannot be typed"),
        ("PU_COMMIT_VERSION=x", "cannot be typed"),
    ],
)
def test_a_setting_that_would_have_no_effect_is_refused(word, said):
    with pytest.raises(UnknownNameError, match=said):
        changes([word], ENV)


def test_the_programs_own_settings_are_shown_first_and_secrets_not_at_all():
    assert shown(ENV) == [
        ("PLACE", '"hall"'),
        ("SPEED", "3"),
        ("PU_AUTH_TOKEN", "(secret)"),
        ("PU_COMMIT_VERSION", '"a"'),
        ("PU_DOMAIN", '"host"'),
    ]
