from pathlib import Path

import pytest

from pepeunit_gateway.firmware import leftovers
from pepeunit_gateway.firmware.folders import remove_folder
from pepeunit_gateway.firmware.leftovers import install, remove_leftovers


@pytest.fixture
def mirror(tmp_path: Path):
    return tmp_path / "x.git"


def write(mirror, *names):
    for name in names:
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_text(str(mirror))


def names(mirror):
    return {path.relative_to(mirror).as_posix() for path in mirror.rglob("*") if path.is_file()}


KEPT = {
    "HEAD",
    "pepeunit-refs.json",
    "objects/pack/pack-a.pack",
    "objects/pack/pack-a.idx",
    "objects/pack/pack-a.rev",
    "objects/info/packs",
    "refs/heads/tmp_x",
    "refs/heads/x.keep",
    "refs/heads/x.pack",
    "refs/heads/x.new",
}
STALE = {
    "HEAD.lock",
    "packed-refs.lock",
    "packed-refs.new",
    "pepeunit-refs.json.new",
    "refs/heads/a/b.lock",
    "objects/pack/tmp_pack_1",
    "objects/pack/.tmp-7-pack-b.pack",
    "objects/pack/pack-a.keep",
    "objects/pack/pack-c.pack",
    "objects/pack/pack-c.rev",
    "objects/aa/tmp_obj_2",
    "objects/info/commit-graph.lock",
}


def test_what_git_did_not_end_goes_and_the_rest_stays(mirror):
    write(mirror, *KEPT, *STALE)
    for suffix in ("building", "removed", "old"):
        write(mirror.with_suffix(f".{suffix}"), "x/y")
    remove_leftovers(mirror)
    assert names(mirror) == KEPT
    assert [path.name for path in mirror.parent.iterdir()] == ["x.git"]


def test_locks_below_as_many_folders_as_a_path_has_are_found(mirror, request):
    lowest = mirror / "refs" / "heads"
    lowest.mkdir(parents=True)
    request.addfinalizer(lambda: remove_folder(mirror.parent))
    for _ in range(1_200):
        lowest = Path(f"{lowest}/a")
        lowest.mkdir()
    lock = Path(f"{lowest}/x.lock")
    lock.touch()
    remove_leftovers(mirror)
    assert not lock.exists()
    mirror.rename(mirror.with_suffix(".removed"))
    remove_leftovers(mirror)
    assert list(mirror.parent.iterdir()) == []


def test_a_mirror_that_is_missing_between_two_renames_comes_back(mirror):
    write(mirror.with_suffix(".old"), "HEAD")
    remove_leftovers(mirror)
    assert names(mirror) == {"HEAD"}


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_new_mirror_takes_the_place_of_the_old_one(mirror, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(leftovers, "_exchange", lambda *_: False)
    built = mirror.with_suffix(".building")
    write(built, "HEAD")
    install(built, mirror)
    assert (mirror / "HEAD").read_text() == str(built)
    write(built, "HEAD", "new")
    (mirror / "old").touch()
    install(built, mirror)
    assert names(mirror) == {"HEAD", "new"}
    assert names(built) == {"HEAD", "old"}
    remove_leftovers(mirror)
    assert [path.name for path in mirror.parent.iterdir()] == ["x.git"]


def test_two_names_are_exchanged_in_one_step_on_this_machine(tmp_path: Path):
    write(tmp_path / "a", "x")
    write(tmp_path / "b", "y")
    assert leftovers._exchange(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path / "a") == {"y"}
    assert not leftovers._exchange(tmp_path / "a", tmp_path / "nothing")
