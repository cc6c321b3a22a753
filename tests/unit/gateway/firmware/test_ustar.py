import io
import tarfile

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding, read_members, trailer

MEMBERS = [
    Member("lib", 0, 1_700_000_000, is_dir=True),
    Member("lib/жук.py", 5, 1_700_000_000),
    Member("run.sh", 512, 1_700_000_000, is_executable=True),
]


def tar(members=MEMBERS):
    body = stem(members)
    return body + trailer(len(body))


def stem(members=MEMBERS):
    return b"".join(header(one) + b"x" * one.size + padding(one.size) for one in members)


def read(data, size=None):
    return list(read_members(io.BytesIO(data), len(stem()) if size is None else size))


def test_another_reader_sees_names_modes_and_times():
    data = tar()
    assert len(data) % 10_240 == 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        found = [(info.name, info.size, info.mode, info.mtime, info.isdir(), info.uid) for info in archive]
        assert archive.pax_headers == {}
    assert found == [
        ("./lib", 0, 0o755, 1_700_000_000, True, 0),
        ("./lib/жук.py", 5, 0o644, 1_700_000_000, False, 0),
        ("./run.sh", 512, 0o755, 1_700_000_000, False, 0),
    ]


def test_our_own_reader_gives_the_members_back():
    assert read(tar()) == MEMBERS
    assert read(b"", 0) == []


@pytest.mark.parametrize("length", [97, 98, 99, 120, 200, 250])
def test_a_long_path_is_cut_at_a_slash(length):
    path = "/".join(["d" * 9] * 26)[: length - 3].rstrip("/") + "/ab"
    data = tar([Member(path, 1, 0)])
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        assert archive.getnames() == [f"./{path}"]
    assert [one.path for one in read(data, 1_024)] == [path]


@pytest.mark.parametrize("path", ["n" * 101, "d/" * 130 + "n", "d" * 160 + "/n" * 50, "a/" + "n" * 101])
def test_a_path_that_does_not_fit_is_refused_with_what_to_do(path):
    with pytest.raises(GitRepoError, match=r"\.pepeignore"):
        header(Member(path, 1, 0))


def test_times_are_kept_within_what_the_header_holds():
    for mtime in (-1, 2**60):
        assert len(header(Member("a", 0, mtime))) == 512


@pytest.mark.parametrize("cut", [0, 100, 512, 1024])
def test_a_cut_tar_is_noticed(cut):
    with pytest.raises(DamagedTarError):
        read(stem()[:cut])


def test_a_member_that_leads_beyond_the_end_is_noticed():
    with pytest.raises(DamagedTarError, match="content is missing"):
        read(tar(), len(stem()) - 512)


def test_a_flipped_byte_in_a_header_is_noticed():
    data = bytearray(tar())
    data[3] ^= 1
    with pytest.raises(DamagedTarError, match="checksum"):
        read(bytes(data))


def test_a_folder_sorts_before_its_content_and_before_its_neighbours():
    paths = ["a.py", "a", "a/b", "a-b", "a/b.py"]
    assert [m.path for m in sorted((Member(path, 0, 0) for path in paths), key=lambda m: m.order)] == [
        "a", "a/b", "a/b.py", "a-b", "a.py",
    ]  # fmt: skip
