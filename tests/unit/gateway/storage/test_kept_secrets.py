"""Secrets in the data folder, and the change of the key that signs tokens."""

import json

import pytest

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import read_settings
from pepeunit_gateway.storage.data_folder import prepare_folder
from pepeunit_gateway.storage.kept_secrets import drop_previous_key, rotate_secret_key

GIVEN = "a-secret-of-the-operator-with-32-characters"


def settings_of(folder, **variables):
    return read_settings({"PU_DATA_DIR": str(folder), **variables}, folder.parent)


def keys(folder, **variables):
    """The current and the previous key of a start."""
    settings = prepare_folder(settings_of(folder, **variables))
    return settings.secret_key.get_secret_value(), settings.secret_key_previous.get_secret_value()


def test_a_new_key_comes_beside_the_old_one_which_goes_when_it_is_dropped(tmp_path):
    """W4."""
    first, none = keys(tmp_path)
    encrypt = json.loads((tmp_path / "secrets.json").read_text())["encrypt_key"]
    rotate_secret_key(settings_of(tmp_path))
    second, previous = keys(tmp_path)
    assert (none, previous) == ("", first)
    assert second != first
    assert len(second) >= 32
    drop_previous_key(settings_of(tmp_path))
    assert keys(tmp_path) == (second, "")
    assert json.loads((tmp_path / "secrets.json").read_text()) == {"secret_key": second, "encrypt_key": encrypt}
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_second_change_waits_until_the_first_is_finished(tmp_path):
    keys(tmp_path)
    rotate_secret_key(settings_of(tmp_path))
    before = keys(tmp_path)
    with pytest.raises(StartError, match="--drop-previous"):
        rotate_secret_key(settings_of(tmp_path))
    assert keys(tmp_path) == before


@pytest.mark.parametrize("variable", ["PU_SECRET_KEY", "PU_SECRET_KEY_PREVIOUS"])
def test_a_key_that_is_set_as_a_variable_is_changed_there(tmp_path, variable):
    keys(tmp_path)
    before = (tmp_path / "secrets.json").read_text()
    with pytest.raises(StartError, match="PU_SECRET_KEY_PREVIOUS") as refused:
        rotate_secret_key(settings_of(tmp_path, **{variable: GIVEN}))
    assert GIVEN not in refused.value.message
    assert (tmp_path / "secrets.json").read_text() == before


def test_the_kept_previous_key_goes_with_the_kept_key_alone(tmp_path):
    first, _ = keys(tmp_path)
    rotate_secret_key(settings_of(tmp_path))
    assert keys(tmp_path, PU_SECRET_KEY=GIVEN) == (GIVEN, "")
    assert keys(tmp_path, PU_SECRET_KEY_PREVIOUS=GIVEN)[1] == GIVEN
    assert keys(tmp_path)[1] == first


def test_there_must_be_something_to_change_or_to_drop(tmp_path):
    with pytest.raises(StartError, match="first start"):
        rotate_secret_key(settings_of(tmp_path))
    with pytest.raises(StartError, match="nothing to drop"):
        drop_previous_key(settings_of(tmp_path))
