"""Archives: what is right is unpacked, everything else leaves nothing behind."""

import hashlib
import io
import stat
import tarfile
import zlib

import pytest

from pepeunit_tools import archive
from pepeunit_tools.client import Download
from pepeunit_tools.errors import DownloadError
from tests.support.device_server import archive as tar_of
from tests.support.device_server import digest, packed

FILES = {"main.py": b"print('hi')\n", "env.json": b"{}", "lib/sensor.py": b"", "lib/env.json": b"{}"}


def tar_with(name, kind=tarfile.REGTYPE, **more):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        good = tarfile.TarInfo("./main.py")
        tar.addfile(good, io.BytesIO())
        info = tarfile.TarInfo(name)
        info.type = kind
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_right_digest_lets_the_content_pass():
    assert archive.verify(Download(b"abc", digest(b"abc")["Repr-Digest"])) == b"abc"
    both = "sha-512=:AAAA:, " + digest(b"abc")["Repr-Digest"]
    assert archive.verify(Download(b"abc", both)) == b"abc"


def test_a_wrong_digest_is_refused():
    with pytest.raises(DownloadError, match="altered on its way"):
        archive.verify(Download(b"abd", digest(b"abc")["Repr-Digest"]))


@pytest.mark.parametrize(
    "header", ["", "sha-512=:AAAA:", "sha-256=:***:", f"sha-256={hashlib.sha256(b'abc').hexdigest()}"]
)
def test_what_cannot_be_checked_is_refused(header):
    with pytest.raises(DownloadError, match="no SHA-256 in the header Repr-Digest"):
        archive.verify(Download(b"abc", header))


def test_a_zlib_stream_is_inflated():
    assert archive.inflate(packed(b"abc", archive.WINDOW_BITS)) == b"abc"


@pytest.mark.parametrize(
    "content", [b"", b"no zlib", packed(b"abc" * 100)[:-3], packed(b"abc") + b"more", packed(b"abc")[:-1] + b"\0"]
)
def test_a_damaged_stream_is_refused(content):
    with pytest.raises(DownloadError, match="the archive is damaged"):
        archive.inflate(content)


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr(archive, "_MAX_SIZE", 1000)
    assert len(archive.inflate(zlib.compress(bytes(1000)))) == 1000
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        archive.inflate(zlib.compress(bytes(5_000_000)))


def test_the_files_are_unpacked_and_env_json_is_for_its_owner_alone(tmp_path):
    folder = tmp_path / "deep" / "kitchen"
    archive.unpack(tar_of(FILES), folder)
    assert tree(folder) == FILES
    assert (mode(folder / "env.json"), mode(folder / "main.py") & 0o700) == (0o600, 0o600)
    assert sorted(path.name for path in folder.iterdir()) == ["env.json", "lib", "main.py"]


def test_an_empty_folder_is_filled_in_place(tmp_path):
    before = tmp_path.stat().st_ino
    archive.unpack(tar_of(FILES), tmp_path)
    assert tree(tmp_path) == FILES
    assert tmp_path.stat().st_ino == before


def test_an_executable_stays_executable(tmp_path):
    archive.unpack(tar_with("./run.sh", mode=0o755), tmp_path)
    assert mode(tmp_path / "run.sh") == 0o755


def test_a_folder_in_which_something_lies_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(DownloadError, match="is not empty; name another folder"):
        archive.unpack(tar_of(FILES), tmp_path)
    with pytest.raises(DownloadError, match="is no folder"):
        archive.unpack(tar_of(FILES), tmp_path / "mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(DownloadError, match="is no folder"):
        archive.unpack(tar_of(FILES), tmp_path / "dangling")
    assert tree(tmp_path) == {"mine": b"mine"}


@pytest.mark.parametrize(
    "tar",
    [
        tar_with("../evil"),
        tar_with("lib/../../evil"),
        tar_with("/etc/evil"),
        tar_with("link", tarfile.SYMTYPE, linkname="/etc/passwd"),
        tar_with("link", tarfile.LNKTYPE, linkname="main.py"),
        tar_with("pipe", tarfile.FIFOTYPE),
        tar_with("disk", tarfile.BLKTYPE),
        tar_with("odd", b"Z"),
    ],
)
def test_anything_but_plain_files_and_folders_is_refused_before_a_byte_is_written(tmp_path, tar):
    with pytest.raises(DownloadError, match="which is no plain file; it was not unpacked"):
        archive.unpack(tar, tmp_path / "unit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tar", [b"", bytes(10_240), b"no tar" * 200, tar_of(FILES)[:700]])
def test_an_empty_or_damaged_tar_leaves_nothing(tmp_path, tar):
    with pytest.raises(DownloadError, match=r"the archive is (empty|damaged)"):
        archive.unpack(tar, tmp_path / "unit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["./main.py", "./main.py/below"])
def test_a_name_that_stands_there_twice_leaves_nothing(tmp_path, name):
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        archive.unpack(tar_with(name), tmp_path / "unit")
    assert list(tmp_path.iterdir()) == []
