import os
from uuid import UUID

import pytest

from pepeunit_gateway.firmware.evicting import Cleaned, evict, remove_orphans

ONE, OTHER = UUID(int=1), UUID(int=2)
NOW = 1_700_000_000.0


def put(path, size, used, changed=NOW):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (used, changed))
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / str(ONE)


def test_what_was_used_longest_ago_goes_until_the_rest_fits(tmp_path, folder):
    old, young, kept = (
        put(folder / "b.stem", 60, NOW - 2),
        put(folder / "a.stem", 60, NOW - 1),
        put(folder / "c.stem", 60, NOW - 3),
    )
    assert evict(tmp_path, 130, keep=kept, now=NOW) == Cleaned(1, 60)
    assert (old.exists(), young.exists(), kept.exists()) == (False, True, True)
    assert evict(tmp_path, 130, keep=None, now=NOW) == Cleaned()
    assert evict(tmp_path, 10, keep=young, now=NOW) == Cleaned(1, 60)
    assert young.exists(), "even if it is larger than the limit alone"


def test_files_of_an_older_layout_count_and_go_like_all_others(tmp_path, folder):
    before = put(folder / "x.1.tar", 60, NOW - 2)
    put(folder / "a.stem", 60, NOW - 1)
    evict(tmp_path, 100, keep=None, now=NOW)
    assert not before.exists()


def test_leftovers_of_a_killed_gateway_go_and_what_is_being_written_stays(tmp_path, folder):
    left = put(folder / "x.new", 9, NOW, changed=NOW - 4_000)
    writing = put(folder / "y.new", 9, NOW, changed=NOW - 3_000)
    assert evict(tmp_path, 100, keep=None, now=NOW) == Cleaned(1, 9)
    assert (left.exists(), writing.exists()) == (False, True)


def test_a_folder_that_is_not_there_is_clean(tmp_path):
    assert evict(tmp_path / "none", 1, keep=None, now=NOW) == Cleaned()
    assert remove_orphans(tmp_path / "none", {ONE}) == Cleaned()


def test_registries_that_are_gone_take_their_files_along_and_nothing_else(tmp_path, folder):
    put(folder / "a.stem", 5, NOW)
    put(tmp_path / str(OTHER) / "b.stem", 7, NOW)
    put(tmp_path / "somebody's" / "c", 7, NOW)
    assert remove_orphans(tmp_path, {ONE}) == Cleaned(1, 7)
    assert {path.name for path in tmp_path.iterdir()} == {str(ONE), "somebody's"}
