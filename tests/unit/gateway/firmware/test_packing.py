import hashlib
import io
import tarfile
import zipfile
import zlib

import pytest

from pepeunit_gateway.errors import UnitError
from pepeunit_gateway.firmware.packing import ArchiveFormat, write_archive
from pepeunit_gateway.firmware.thread_work import StoppedError
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding, trailer

FILES = {"boot.py": b"1", "lib/x.py": b"x" * 100_000, "main.py": b"m"}
EXTRA = {"schema.json": b"{}\n", "env.json": b'{"A": 1}\n'}
ORDER = ["boot.py", "env.json", "lib", "lib/x.py", "main.py", "schema.json"]


def base():
    members = [Member("boot.py", 1, 9), Member("lib", 0, 9, is_dir=True), Member("lib/x.py", 100_000, 9)]
    members.append(Member("main.py", 1, 9, is_executable=True))
    body = b"".join(header(m) + FILES.get(m.path, b"") + padding(m.size) for m in members)
    return io.BytesIO(body + trailer(len(body)))


def wanted():
    """Nobody has given up."""


def pack(fmt):
    out = io.BytesIO()
    digest = write_archive(base(), EXTRA, fmt, out, check=wanted)
    assert digest == hashlib.sha256(out.getvalue()).digest()
    return out.getvalue()


def test_a_tar_holds_everything_sorted_with_dot_slash_names():
    with tarfile.open(fileobj=io.BytesIO(pack(ArchiveFormat.tar())), mode="r:") as archive:
        assert archive.getnames() == [f"./{name}" for name in ORDER]
        assert {info.mtime for info in archive} == {9}
        for name, content in {**FILES, **EXTRA}.items():
            assert archive.extractfile(f"./{name}").read() == content


def test_a_zip_holds_the_same_without_dot_slash():
    with zipfile.ZipFile(io.BytesIO(pack(ArchiveFormat.zip()))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["lib/" if name == "lib" else name for name in ORDER]
        assert archive.read("lib/x.py") == FILES["lib/x.py"]
        assert archive.getinfo("lib/x.py").compress_type == zipfile.ZIP_DEFLATED
        assert archive.getinfo("main.py").external_attr >> 16 == 0o100755
        assert archive.getinfo("lib/").is_dir()


@pytest.mark.parametrize("wbits", [*range(-15, -8), *range(9, 16), *range(25, 32)])
def test_a_tgz_is_the_tar_through_zlib_in_every_container(wbits):
    machine = zlib.decompressobj(wbits)
    assert machine.decompress(pack(ArchiveFormat.tgz(wbits, 6))) == pack(ArchiveFormat.tar())
    assert machine.eof


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


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip()])
def test_the_same_input_gives_the_same_bytes(fmt):
    assert pack(fmt) == pack(fmt)


def test_a_base_without_its_end_is_noticed():
    with pytest.raises(DamagedTarError):
        write_archive(io.BytesIO(base().getvalue()[:2_000]), EXTRA, ArchiveFormat.tar(), io.BytesIO(), check=wanted)


def test_an_empty_base_leaves_the_units_own_files():
    out = io.BytesIO()
    write_archive(io.BytesIO(trailer(0)), EXTRA, ArchiveFormat.tar(), out, check=wanted)
    out.seek(0)
    with tarfile.open(fileobj=out, mode="r:") as archive:
        assert archive.getnames() == ["./env.json", "./schema.json"]


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip()])
def test_the_work_asks_before_every_chunk_whether_anybody_still_wants_it(fmt):
    size = 10 * 256 * 1024
    large = header(Member("data", size, 9)) + bytes(size) + trailer(512 + size)
    asked = []

    def unwanted():
        asked.append(1)
        if len(asked) == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_archive(io.BytesIO(large), EXTRA, fmt, io.BytesIO(), check=unwanted)
