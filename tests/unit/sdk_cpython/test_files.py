import os
import stat

import pytest

from pepeunit.files import Disk, remove_tree, replace_file
from tests.support.cut_disk import MOMENTS, CutDisk, PowerCut


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [0, 1])
def test_a_cut_replacement_leaves_the_old_file_or_the_new_one_s1(tmp_path, number, moment):
    path = tmp_path / "env.json"
    path.write_bytes(b"old")
    with pytest.raises(PowerCut):
        replace_file(CutDisk(number, moment), path, b"new contents", mode=0o600)
    assert path.read_bytes() in {b"old", b"new contents"}


def test_the_mode_is_that_asked_for_whatever_the_umask_or_an_older_file(tmp_path):
    path = tmp_path / "env.json"
    path.write_bytes(b"old")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        replace_file(Disk(), path, b"new", mode=0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_tree_is_removed_without_following_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/file").touch()
    (tree / "link").symlink_to(outside)
    remove_tree(Disk(), tree)
    remove_tree(Disk(), tree)
    assert not tree.exists()
    assert (outside / "kept").exists()
