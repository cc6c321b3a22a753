"""The link of a unit's compiled program, or what to do where there is none."""

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.registry.compiled import Programs

LINKS = {"pi": "https://files.example/pi", "esp32": "https://files.example/esp32"}


@pytest.mark.parametrize("platform", [None, "", "pi"])
def test_a_repo_that_is_not_compilable_needs_none(platform):
    assert Programs().link(platform) is None


def test_w33_the_name_must_be_exactly_the_one_of_a_file_and_the_others_are_named():
    programs = Programs(is_needed=True, tag="v1", links=LINKS)
    assert programs.link("pi") == "https://files.example/pi"
    for platform, said in (
        ("Pi", "no program called 'Pi'"),
        ("p" * 5_000, f"no program called '{'p' * 100}'"),
        (None, "programs for several platforms"),
        ("", "programs for several platforms"),
    ):
        with pytest.raises(GitRepoError) as caught:
            programs.link(platform)
        assert caught.value.message.startswith("Release 'v1' has ")
        assert said in caught.value.message
        assert caught.value.message.endswith("set target_firmware_platform to one of: pi, esp32")


def test_w33_a_release_that_is_not_there_is_no_key_error():
    with pytest.raises(GitRepoError, match=r"Release 'v2' is not known, or has no files yet") as caught:
        Programs(is_needed=True, tag="v2").link("pi")
    assert caught.value.detail.startswith("422: 5: ")


def test_of_very_many_names_twenty_are_shown():
    links = {f"board-{number}": "https://files.example/x" for number in range(500)}
    with pytest.raises(GitRepoError) as caught:
        Programs(is_needed=True, tag="v1", links=links).link("pi")
    assert "board-19, ..." in caught.value.message
    assert "board-20" not in caught.value.message
