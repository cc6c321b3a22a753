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


def test_what_nobody_used_for_a_day_goes_before_what_anybody_uses(tmp_path, folder):
    idle = put(tmp_path / str(OTHER) / "a.stem", 10, NOW - 90_000)
    used = [put(folder / f"{number}.stem", 60, NOW - 80_000 + number) for number in range(2)]
    assert evict(tmp_path, 120, keep=None, now=NOW) == Cleaned(1, 10)
    assert (idle.exists(), used[0].exists()) == (False, True)


def test_each_registry_is_sure_of_an_even_share_of_what_is_used(tmp_path, folder):
    small = [put(tmp_path / str(UUID(int=number)) / "a.stem", 30, NOW - 1_000) for number in (2, 3)]
    greedy = [put(folder / f"{number}.stem", 20, NOW - 10 + number) for number in range(8)]
    assert evict(tmp_path, 120, keep=greedy[0], now=NOW) == Cleaned(5, 100)
    assert all(path.exists() for path in small)
    assert [path.exists() for path in greedy] == [True, False, False, False, False, False, True, True]


def test_of_a_registry_over_its_share_rare_stems_go_first(tmp_path, folder):
    usual = put(folder / "a.2.tar.stem", 60, NOW - 9)
    rare = put(folder / "a.2.tgz-12-3.rare", 60, NOW - 1)
    kept = put(tmp_path / str(OTHER) / "a.2.tgz-12-3.rare", 10, NOW - 99)
    evict(tmp_path, 100, keep=None, now=NOW)
    assert (usual.exists(), rare.exists(), kept.exists()) == (True, False, True)


def test_of_a_commit_the_last_few_rare_stems_stay(tmp_path, folder):
    rare = [put(folder / f"a.2.tgz-12-{number}.rare", 1, NOW - number) for number in range(9)]
    others = [put(folder / "b.2.tgz-12-3.rare", 1, NOW - 50), put(folder / "a.2.zip.stem", 1, NOW - 50)]
    assert evict(tmp_path, 100, keep=rare[8], now=NOW) == Cleaned(4, 4)
    assert [number for number, path in enumerate(rare) if path.exists()] == [0, 1, 2, 3, 8]
    assert all(path.exists() for path in others)


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
