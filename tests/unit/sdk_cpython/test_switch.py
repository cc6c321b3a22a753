"""Updates that are cut. Rows S2, S3 of protocol/pitfalls.md; G1, G2 of ota.md."""

import io
import itertools
import json
import shutil
import stat

import pytest

from pepeunit.archive import Limits, unpack
from pepeunit.errors import SwitchError
from pepeunit.files import Disk
from pepeunit.installed import Installed, read_installed, write_installed
from pepeunit.recovery import recover
from pepeunit.switch import Kind, begin_switch, carry_out, plan_switch, survey
from tests.support.cut_disk import MOMENTS, CutDisk, PowerCut
from tests.support.device_server import archive, packed
from tests.support.micropython import env

OLD, NEW = "a" * 40, "b" * 40
OLD_FILES = {
    "main.py": b"old main",
    "lib/kept.py": b"old kept",
    "lib/gone.py": b"old gone",
    "only/old.py": b"old only",
    "swap": b"was a file",
}
NEW_FILES = {
    "main.py": b"new main",
    "lib/kept.py": b"new kept",
    "lib/more/new.py": b"new new",
    "swap/inside.py": b"is a directory",
    "boot.py": b"new boot",
}
USER_FILES = {"data/readings.csv": b"1,2,3", "lib/user.txt": b"mine", "log.json": b'{"level": "Info", "text": "x"}\n'}


def env_of(commit):
    return json.dumps(env(PU_COMMIT_VERSION=commit)).encode()


def put(directory, files):
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)


def begin(directory):
    """A unit that runs the old version."""
    put(directory, {**OLD_FILES, **USER_FILES, "env.json": env_of(OLD), "schema.json": b'{"old": 1}'})
    put(directory, {"lib/__pycache__/kept.cpython-311.pyc": b"bytecode", "only/__pycache__/old.cpython-311.pyc": b"x"})
    write_installed(CutDisk(), directory, Installed(OLD, tuple(sorted(OLD_FILES))))


def update(disk, directory):
    """What the unit does with a downloaded archive, all effects through `disk`."""
    tar = archive({**NEW_FILES, "env.json": env_of(NEW), "schema.json": b'{"new": 1}'})
    disk.write(directory / ".pepeunit/download", (packed(tar, 15),), mode=0o600)
    disk.make_directory(directory / ".pepeunit/next")
    files = unpack(disk, io.BytesIO(packed(tar, 15)), directory / ".pepeunit/next", Limits())
    before = read_installed(directory)
    switch = plan_switch(NEW, files, before, survey(directory, {*files, *before.files}))
    begin_switch(disk, directory, switch)
    carry_out(disk, directory, switch)


def contents(directory):
    """Every file but the SDK's own and what Python compiled."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and ".pepeunit" not in path.parts and "__pycache__" not in path.parts
    }


def is_old(directory):
    found = contents(directory)
    found.pop("env.json.prev", None)
    expected = {**OLD_FILES, **USER_FILES, "env.json": env_of(OLD), "schema.json": b'{"old": 1}'}
    return found == expected and read_installed(directory).commit == OLD


def is_new(directory):
    expected = {**NEW_FILES, **USER_FILES, "env.json": env_of(NEW), "schema.json": b'{"new": 1}'}
    return contents(directory) == {**expected, "env.json.prev": env_of(OLD)} and read_installed(directory) == Installed(
        NEW, tuple(sorted(NEW_FILES))
    )


def count(tmp_path):
    dry = CutDisk()
    begin(tmp_path / "dry")
    update(dry, tmp_path / "dry")
    assert is_new(tmp_path / "dry")
    return len(dry.effects)


def test_a_cut_before_in_and_after_every_file_effect_leaves_the_old_or_the_new_version_s2_s3(tmp_path):
    outcomes = set()
    total = count(tmp_path)
    for number, moment in itertools.product(range(total), MOMENTS):
        directory = tmp_path / f"{number}-{moment}"
        begin(directory)
        with pytest.raises(PowerCut):
            update(CutDisk(number, moment), directory)
        recover(directory, CutDisk())
        outcome = "new" if is_new(directory) else "old" if is_old(directory) else "mixture"
        assert outcome != "mixture", (number, moment, contents(directory))
        assert sorted(path.name for path in (directory / ".pepeunit").iterdir() if path.suffix != ".tmp") == [
            "installed.json"
        ]
        outcomes.add(outcome)
        shutil.rmtree(directory)
    assert outcomes == {"old", "new"}
    assert total > 30


def test_a_cut_during_the_recovery_from_a_cut_is_recovered_too_s2_s3(tmp_path):
    total = count(tmp_path)
    for number in range(total):
        cut = tmp_path / "cut"
        begin(cut)
        with pytest.raises(PowerCut):
            update(CutDisk(number, "after"), cut)
        for second in itertools.count():
            directory = tmp_path / "again"
            shutil.copytree(cut, directory)
            disk = CutDisk(second, "after")
            try:
                recover(directory, disk)
            except PowerCut:
                recover(directory, CutDisk())
                assert is_new(directory) or is_old(directory), (number, second)
                shutil.rmtree(directory)
            else:
                assert is_new(directory) or is_old(directory), (number, second)
                shutil.rmtree(directory)
                break
        shutil.rmtree(cut)


def test_a_recovery_says_whether_the_program_must_start_again(tmp_path):
    begin(tmp_path)
    assert not recover(tmp_path)
    total = count(tmp_path / "counting")
    answers = []
    for number in range(total):
        directory = tmp_path / str(number)
        begin(directory)
        with pytest.raises(PowerCut):
            update(CutDisk(number, "after"), directory)
        was_begun = (directory / ".pepeunit/switch.json").exists()
        answers.append(recover(directory))
        assert answers[-1] == was_begun
        assert not recover(directory)
    assert True in answers


def test_a_directory_without_a_unit_is_left_alone(tmp_path):
    assert not recover(tmp_path)
    assert list(tmp_path.iterdir()) == []


class FullDisk(CutDisk):
    """From effect `number` on nothing can be written any more; renames and removals still work."""

    def _effect(self, name, _path, act):
        self.effects.append(name)
        if len(self.effects) > self._number and name == "write":
            raise OSError(28, "No space left on device")
        act()


def test_a_full_disk_stops_an_update_only_before_the_point_of_no_return_s2(tmp_path):
    for number in range(count(tmp_path)):
        directory = tmp_path / str(number)
        begin(directory)
        try:
            update(FullDisk(number), directory)
        except OSError:
            assert not recover(directory)
            assert is_old(directory)
        else:
            assert is_new(directory)
        shutil.rmtree(directory)


def test_the_files_are_private_where_they_hold_secrets(tmp_path):
    begin(tmp_path)
    update(Disk(), tmp_path)
    for name in ("env.json", "env.json.prev", ".pepeunit/installed.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((tmp_path / ".pepeunit").stat().st_mode) == 0o700


def test_bytecode_of_replaced_and_deleted_sources_goes_with_them(tmp_path):
    begin(tmp_path)
    update(Disk(), tmp_path)
    assert not list(tmp_path.rglob("*.pyc"))
    assert not (tmp_path / "only").exists()


def test_main_comes_last_of_the_code_and_env_last_of_all():
    plan = plan_switch(NEW, ["env.json", "main.py", "schema.json", "zzz.py", "a.py"], Installed(OLD), {})
    assert plan.moves == ("a.py", "zzz.py", "main.py", "schema.json", "env.json")
    assert plan.files == ("a.py", "main.py", "zzz.py")


def test_own_and_user_files_are_neither_deleted_nor_overwritten():
    before = Installed(OLD, ("log.json", "env.json", "schema.json", "env.json.prev", ".pepeunit/x", "gone.py"))
    plan = plan_switch(NEW, ["main.py", "log.json", "env.json.prev"], before, {"user.csv": Kind.FILE})
    assert plan.deletes == ("gone.py",)
    assert plan.moves == ("main.py",)


def test_a_version_that_holds_the_private_folder_is_refused():
    with pytest.raises(SwitchError, match=r"take \.pepeunit out of the repository"):
        plan_switch(NEW, ["main.py", ".pepeunit/switch.json"], Installed(OLD), {})


@pytest.mark.parametrize("user_file", ["swap", "boot.py/notes.txt"])
def test_what_stands_in_the_way_is_named_and_the_old_version_stays(tmp_path, user_file):
    begin(tmp_path)
    write_installed(Disk(), tmp_path, Installed(OLD))
    if user_file != "swap":
        (tmp_path / "swap").unlink()
    put(tmp_path, {user_file: b"mine"})
    seen = contents(tmp_path)
    with pytest.raises(SwitchError, match="in the way"):
        update(Disk(), tmp_path)
    recover(tmp_path)
    assert contents(tmp_path) == seen


def test_a_link_to_elsewhere_is_never_written_through(tmp_path):
    directory = tmp_path / "unit"
    begin(directory)
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(directory / "lib")
    (directory / "lib").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SwitchError, match="lib is in the way"):
        update(Disk(), directory)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_journal_that_was_damaged_by_hand_is_named(tmp_path):
    begin(tmp_path)
    for data in ("", "{}", "[]", '{"commit": 1}'):
        (tmp_path / ".pepeunit/switch.json").write_text(data)
        with pytest.raises(SwitchError, match="download the unit's archive"):
            recover(tmp_path)
