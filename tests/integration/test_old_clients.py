"""Programs in the field unpack archives with a few lines and a window of 512 bytes, on both interpreters."""

import asyncio
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest

from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from tests.support.git_server import GitServer
from tests.support.micropython import INTERPRETER
from tests.support.packed_program import ENV, SCHEMA, content, expected, push_program
from tests.support.repository import MIB, ServedRepository

SUPPORT = Path(__file__).parent.parent / "support"
INTERPRETERS = {"cpython": (sys.executable,), "micropython": (str(INTERPRETER), "-X", "heapsize=96k")}
FORMATS = [
    ArchiveFormat.tar(),
    ArchiveFormat.zip(),
    *(ArchiveFormat.tgz(9, level) for level in (9, -1, 0, 1, 6)),
    ArchiveFormat.tgz(-9, 9),
    ArchiveFormat.tgz(25, 9),
    ArchiveFormat.tgz(15, 9),
]


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        repository = ServedRepository(tmp_path, server)
        yield repository
        await repository.mirrors.close()


@pytest.fixture
async def archive(repository):
    far = os.urandom(3_000)
    repository.tree.write("far.bin", far * 3)  # what lies 3,000 bytes back is out of reach of a small window
    commit = await push_program(repository)
    archives = ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)

    async def build(fmt):
        return await content(archives, repository, commit, fmt)

    return build


async def unpack(interpreter, packed, fmt, folder, wbits=None):
    """Run the small unpacker as a device would; its exit code and what lies in the folder then."""
    folder.mkdir()
    path = folder.with_suffix(".packed")
    path.write_bytes(packed)
    script = "minimal_unzip.py" if fmt.kind == "zip" else "minimal_untar.py"
    device = await asyncio.create_subprocess_exec(
        *INTERPRETERS[interpreter], str(SUPPORT / script), str(path), fmt.kind, str(wbits or fmt.wbits),
        cwd=folder, stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    code = await asyncio.wait_for(device.wait(), 30)
    return code, {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("interpreter", INTERPRETERS)
async def test_a_few_lines_unpack_every_format(repository, archive, tmp_path, interpreter):
    for number, fmt in enumerate(FORMATS):
        code, found = await unpack(interpreter, await archive(fmt), fmt, tmp_path / f"device-{number}")
        assert (code, found) == (0, expected(repository.tree)), fmt


@pytest.mark.parametrize("interpreter", INTERPRETERS)
async def test_a_window_of_512_bytes_is_enough_for_what_says_so_and_for_nothing_else(archive, tmp_path, interpreter):
    fmt = ArchiveFormat.tgz(9, 9)
    assert (await unpack(interpreter, await archive(fmt), fmt, tmp_path / "fits"))[0] == 0
    large = bytearray(await archive(ArchiveFormat.tgz(15, 9)))
    large[:2] = b"\x18\xd3"  # a stream that looks further back than it says
    code, found = await unpack(interpreter, bytes(large), fmt, tmp_path / "looks-too-far")
    assert code != 0 or found["far.bin"] != found["far.bin"][:3_000] * 3


def test_the_unpackers_are_short():
    for name in ("minimal_untar.py", "minimal_unzip.py"):
        assert len((SUPPORT / name).read_text().splitlines()) <= 60


async def test_every_byte_of_a_tar_is_what_the_simplest_reader_expects(repository, archive):
    data = await archive(ArchiveFormat.tar())
    position, names = 0, []
    while data[position : position + 512] != bytes(512):
        block = data[position : position + 512]
        assert block[156:157] in b"05"
        assert block[257:265] == b"ustar\x0000"
        assert block[100:108] in {b"0000644\0", b"0000755\0"}
        name, prefix = (block[a:b].rstrip(b"\0").decode() for a, b in ((0, 100), (345, 500)))
        names.append(f"{prefix}/{name}" if prefix else name)
        size = int(block[124:135], 8)
        position += 512 + size + -size % 512
    assert data[position:] == bytes(len(data) - position)
    assert len(data) - position >= 1_024
    assert len(data) % 10_240 == 0
    assert all(name.startswith("./") for name in names)
    assert names[-2:] == ["./env.json", "./schema.json"]
    files = {name[2:] for name in names if not name.endswith("/")}
    assert files == set(expected(repository.tree))


async def test_every_stream_begins_and_ends_as_its_container_says(archive):
    tar = await archive(ArchiveFormat.tar())
    zlib_stream, raw, gzip = [await archive(ArchiveFormat.tgz(wbits, 9)) for wbits in (9, -9, 25)]
    assert zlib_stream[:2] == b"\x18\xd3"
    assert zlib_stream[-4:] == struct.pack(">I", zlib.adler32(tar))
    assert gzip[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\x03"
    assert gzip[-8:] == struct.pack("<II", zlib.crc32(tar), len(tar))
    assert raw == zlib_stream[2:-4] == gzip[10:-8]
    assert zlib.decompress(raw, -9) == tar


async def test_names_in_a_zip_have_no_dot_slash_and_folders_end_with_a_slash(archive):
    data = await archive(ArchiveFormat.zip())
    start, count = struct.unpack("<I", data[-6:-2])[0], struct.unpack("<H", data[-12:-10])[0]
    assert data[:4] == b"PK\x03\x04"
    names = []
    for _ in range(count):
        length = struct.unpack("<H", data[start + 28 : start + 30])[0]
        names.append(data[start + 46 : start + 46 + length].decode())
        start += 46 + length
    assert start == len(data) - 22
    assert "lib/" in names
    assert not any(name.startswith(("./", "/")) for name in names)
    assert names[-2:] == ["env.json", "schema.json"]
    assert (ENV in data, SCHEMA in data) == (False, False), "deflated"
