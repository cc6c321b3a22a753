import io
import stat
import tarfile
import zlib

import pytest

from pepeunit.archive import Limits, unpack
from pepeunit.errors import ArchiveError
from pepeunit.files import Disk
from tests.support.device_server import archive, packed
from tests.support.tars import member as info
from tests.support.tars import tar_of

FILES = {"main.py": b"print(1)\n" * 9000, "env.json": b"{}", "lib/a.py": b"", "schema.json": b"{}"}


def run(directory, data, limits=None):
    return unpack(Disk(), io.BytesIO(data), directory, limits or Limits())


def test_an_archive_is_unpacked_and_its_env_is_private(tmp_path):
    assert run(tmp_path, packed(archive(FILES), 15)) == ("env.json", "lib/a.py", "main.py", "schema.json")
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert stat.S_IMODE((tmp_path / "env.json").stat().st_mode) == 0o600


def test_an_executable_stays_one(tmp_path):
    run(tmp_path, packed(tar_of(info("tool", size=1, mode=0o755), info("text", size=1, mode=0o664)), 15))
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("tool", "text")] == [0o755, 0o644]


def test_every_cut_is_noticed_s2(tmp_path):
    data = packed(archive(FILES), 15)
    for length in range(len(data)):
        with pytest.raises(ArchiveError):
            run(tmp_path, data[:length])


def test_every_flip_of_a_bit_is_noticed_or_changes_no_file_s2(tmp_path):
    files = {"main.py": b"print(1)\n", "env.json": b"{}"}
    data = packed(archive(files), 15)
    unnoticed = 0
    for position in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[position] ^= 1 << bit
            try:
                assert run(tmp_path, bytes(altered)) == ("env.json", "main.py")
            except ArchiveError:
                continue
            # The level of compression in the head, and the bits that fill up the last byte, say nothing.
            assert {name: (tmp_path / name).read_bytes() for name in files} == files
            unnoticed += 1
    assert unnoticed < 12


@pytest.mark.parametrize(
    "members",
    [
        [info("a"), info("./a")],
        [info("a"), info("a/b")],
        [info("a/b"), info("a")],
        [info("a", tarfile.DIRTYPE), info("a")],
        [info("l", tarfile.SYMTYPE, linkname="/etc")],
        [info("../a")],
    ],
    ids=lambda members: " ".join(member.name for member in members),
)
def test_doubles_and_what_leads_out_are_refused(tmp_path, members):
    folder = tmp_path / "next"
    folder.mkdir()
    with pytest.raises(ArchiveError):
        run(folder, packed(tar_of(*members), 15))
    assert [path.name for path in tmp_path.iterdir()] == ["next"]


def test_a_bomb_is_stopped_at_the_limit_of_bytes(tmp_path):
    packer = zlib.compressobj(9)
    bomb = packer.compress(tar_of(info("big", size=40_000_000))) + packer.flush()
    with pytest.raises(ArchiveError, match="larger than a unit accepts"):
        run(tmp_path, bomb, Limits(total=1_000_000))
    assert (tmp_path / "big").stat().st_size <= 1_000_000


def test_too_many_members_are_refused(tmp_path):
    with pytest.raises(ArchiveError, match="more files"):
        run(tmp_path, packed(tar_of(*(info(f"f{number}") for number in range(6))), 15), Limits(count=5))


def test_data_behind_the_stream_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="behind its end"):
        run(tmp_path, packed(archive(FILES), 15) + b"x")
