import os
from pathlib import Path

import pytest

from pepeunit_gateway.firmware.folders import find_entries, folder_size, remove_folder


@pytest.fixture
def deep(tmp_path: Path):
    """A folder with 1,800 below each other, more than Python calls itself and than a process opens as a rule."""
    folder = lowest = tmp_path / "deep"
    folder.mkdir()
    for _ in range(1_800):
        lowest = Path(f"{lowest}/a")
        lowest.mkdir()
    Path(f"{lowest}/file").write_bytes(b"x" * 1_000)
    yield folder
    remove_folder(folder)


def test_a_folder_as_deep_as_a_path_is_long_is_counted_and_removed(deep):
    assert folder_size(deep) == 1_800 * 512 + 1_000
    remove_folder(deep)
    assert not deep.exists()


def test_empty_files_and_folders_count_as_well(tmp_path: Path):
    for number in range(10):
        (tmp_path / f"{number}").touch()
        (tmp_path / f"folder{number}").mkdir()
    assert folder_size(tmp_path) == 20 * 512


def test_links_are_neither_counted_nor_followed_nor_is_removed_what_they_lead_to(tmp_path: Path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (outside / "file").write_bytes(b"x" * 9_999)
    (folder / "to-folder").symlink_to(outside)
    (folder / "to-file").symlink_to(outside / "file")
    (folder / "to-itself").symlink_to(folder)
    assert folder_size(folder) == 3 * 512
    assert {entry.name for entry in find_entries(folder)} == {"to-folder", "to-file", "to-itself"}
    remove_folder(folder)
    assert not folder.exists()
    assert (outside / "file").exists()
    (tmp_path / "link").symlink_to(outside)
    remove_folder(tmp_path / "link")
    assert (outside / "file").exists()


def test_what_is_not_there_has_no_size_and_may_be_removed(tmp_path: Path):
    assert folder_size(tmp_path / "nothing") == 0
    remove_folder(tmp_path / "nothing")


@pytest.mark.parametrize("name", [os.fsdecode(b"\xff"), "\n", "-rf", " "])
def test_odd_names_are_removed(tmp_path: Path, name):
    (tmp_path / "folder" / name).mkdir(parents=True)
    (tmp_path / "folder" / name / name).touch()
    remove_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
