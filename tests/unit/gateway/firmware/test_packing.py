import io
import tarfile
import zipfile
import zlib

import pytest

from pepeunit_gateway.errors import GitRepoError, UnitError
from pepeunit_gateway.firmware import zipping
from pepeunit_gateway.firmware.packing import ArchiveFormat
from pepeunit_gateway.firmware.thread_work import StoppedError
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding
from tests.support.stems import archive_of, stem_of

FILES = {"boot.py": b"1", "lib/x.py": b"x" * 100_000, "main.py": b"m"}
OWN = {"env.json": b'{"A": 1}\n', "schema.json": b"{}\n"}
ORDER = ["boot.py", "lib", "lib/x.py", "main.py", "env.json", "schema.json"]
MEMBERS = [
    Member("boot.py", 1, 9),
    Member("lib", 0, 9, is_dir=True),
    Member("lib/x.py", 100_000, 9),
    Member("main.py", 1, 9, is_executable=True),
]
STEM = b"".join(header(m) + FILES.get(m.path, b"") + padding(m.size) for m in MEMBERS)


def pack(fmt, stem=STEM):
    return archive_of(stem, OWN, fmt)


def test_a_tar_holds_everything_with_dot_slash_names_and_the_units_own_files_last():
    with tarfile.open(fileobj=io.BytesIO(pack(ArchiveFormat.tar())), mode="r:") as archive:
        assert archive.getnames() == [f"./{name}" for name in ORDER]
        assert {info.mtime for info in archive} == {9}
        for name, content in {**FILES, **OWN}.items():
            assert archive.extractfile(f"./{name}").read() == content


def test_a_zip_holds_the_same_without_dot_slash():
    with zipfile.ZipFile(io.BytesIO(pack(ArchiveFormat.zip()))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["lib/" if name == "lib" else name for name in ORDER]
        for name, content in {**FILES, **OWN}.items():
            assert archive.read(name) == content
        assert {archive.getinfo(name).compress_type for name in ("lib/x.py", "env.json")} == {zipfile.ZIP_DEFLATED}
        assert archive.getinfo("main.py").external_attr >> 16 == 0o100755
        assert archive.getinfo("env.json").external_attr >> 16 == 0o100644
        assert archive.getinfo("lib/").is_dir()


def test_the_zips_own_entries_are_what_the_standard_library_would_write():
    ours = pack(ArchiveFormat.zip(), b"")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in OWN.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type, info.external_attr, info.create_system = zipfile.ZIP_DEFLATED, 0o100644 << 16, 3
            with archive.open(info, "w") as entry:
                entry.write(content)
    assert ours == out.getvalue()


@pytest.mark.parametrize("mtime", [0, 1_700_000_121, 2**40])
def test_every_time_of_a_commit_fits_into_a_zip(mtime):
    stem = header(Member("a", 0, mtime))
    with zipfile.ZipFile(io.BytesIO(archive_of(stem, OWN, ArchiveFormat.zip(), mtime=mtime))) as archive:
        assert len({info.date_time for info in archive.infolist()}) == 1


@pytest.mark.parametrize("wbits", [*range(-15, -8), *range(9, 16), *range(25, 32)])
def test_a_tgz_is_the_tar_through_zlib_in_every_container(wbits):
    machine = zlib.decompressobj(wbits)
    assert machine.decompress(pack(ArchiveFormat.tgz(wbits, 6))) == pack(ArchiveFormat.tar())
    assert machine.eof
    assert machine.unused_data == b""


def test_the_default_is_a_zlib_stream_with_a_window_of_512_bytes():
    assert pack(ArchiveFormat.tgz())[:2] == bytes.fromhex("18d3")
    assert pack(ArchiveFormat.tgz(15))[:2] == bytes.fromhex("78da")


@pytest.mark.parametrize("wbits", [-16, -8, -1, 0, 8, 16, 24, 32, 47])
def test_other_windows_are_refused(wbits):
    with pytest.raises(UnitError, match="wbits") as caught:
        ArchiveFormat.tgz(wbits)
    assert (caught.value.status, caught.value.code) == (422, 7)


@pytest.mark.parametrize("level", [-2, 10])
def test_other_levels_are_refused(level):
    with pytest.raises(UnitError, match="level"):
        ArchiveFormat.tgz(9, level)


@pytest.mark.parametrize("level", range(-1, 10))
def test_every_level_of_the_contract_works(level):
    assert zlib.decompress(pack(ArchiveFormat.tgz(9, level)), 9) == pack(ArchiveFormat.tar())


def test_containers_of_one_window_and_level_share_a_stem():
    formats = [ArchiveFormat.tgz(wbits, level) for wbits in (-9, 9, 25) for level in (-1, 6)]
    assert {fmt.stem_name for fmt in formats} == {"tgz-9-6"}
    assert len({stem_of(STEM, fmt)[1] for fmt in formats}) == 1


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip()])
def test_the_same_input_gives_the_same_bytes(fmt):
    assert pack(fmt) == pack(fmt)


@pytest.mark.parametrize("fmt", [ArchiveFormat.tgz(), ArchiveFormat.zip()])
def test_a_tar_that_lacks_bytes_is_noticed(fmt):
    with pytest.raises(DamagedTarError):
        stem_of(STEM[:2_000], fmt, size=len(STEM))


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz()])
def test_an_empty_stem_leaves_the_units_own_files(fmt):
    data = pack(fmt, b"")
    with tarfile.open(
        fileobj=io.BytesIO(data if fmt.kind == "tar" else zlib.decompress(data, 9)), mode="r:"
    ) as archive:
        assert archive.getnames() == ["./env.json", "./schema.json"]


@pytest.mark.parametrize("fmt", [ArchiveFormat.tgz(), ArchiveFormat.zip()])
def test_the_work_asks_before_every_chunk_whether_anybody_still_wants_it(fmt):
    size = 10 * 256 * 1024
    large = header(Member("data", size, 9)) + bytes(size)
    asked = []

    def unwanted():
        asked.append(1)
        if len(asked) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        stem_of(large, fmt, check=unwanted)
    asked.clear()
    with pytest.raises(StoppedError):
        archive_of(b"", {"env.json": bytes(size)}, fmt, check=unwanted)


@pytest.mark.parametrize(("room", "value"), [("_MAX_SIZE", 100), ("_MAX_ENTRIES", 1)])
def test_more_than_a_zip_can_hold_is_told(monkeypatch, room, value):
    monkeypatch.setattr(zipping, room, value)
    with pytest.raises(GitRepoError, match=r"more than a zip can hold.*\.pepeignore"):
        pack(ArchiveFormat.zip(), b"")


def test_more_files_than_a_zip_can_hold_are_told(monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    with pytest.raises(GitRepoError, match="more than a zip can hold"):
        pack(ArchiveFormat.zip())
