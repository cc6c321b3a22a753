"""Names and passwords, at their limits."""

import string

import pytest

from pepeunit_gateway.errors import RepoError, UnitError, UserError
from pepeunit_gateway.registry.naming import check_name, check_password


@pytest.mark.parametrize("name", ["abcd", "a" * 20, "A-1._", "....", "0000"])
def test_good_names_pass(name):
    check_name(name, "the name", UnitError)


@pytest.mark.parametrize(
    "name", ["", "abc", "a" * 21, "with space", "umläut", "a/b/c", "tab\tx", "nul\0x", "new\nline"]
)
@pytest.mark.parametrize("error", [UnitError, RepoError, UserError])
def test_bad_names_raise_the_entitys_error_and_say_the_rule(name, error):
    with pytest.raises(error, match=r"4 to 20|only ASCII"):
        check_name(name, "the name", error)


@pytest.mark.parametrize("password", ["a" * 8, "a" * 100, string.punctuation, "A1!a1B2@"])
def test_good_passwords_pass(password):
    check_password(password)


@pytest.mark.parametrize("password", ["", "a" * 7, "a" * 101, "with space", "umläut-99", "tab\tabcdef"])
def test_bad_passwords_are_refused_without_being_repeated(password):
    with pytest.raises(UserError) as caught:
        check_password(password)
    assert not password or password not in caught.value.message
