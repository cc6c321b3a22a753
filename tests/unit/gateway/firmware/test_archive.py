import hashlib
import os
import tempfile

import pytest

from pepeunit_gateway.firmware.archive import Archive, kept_outside_memory

HEAD, MIDDLE, TAIL = b"head", os.urandom(150_000), os.urandom(70_000)
WHOLE = HEAD + MIDDLE + TAIL


def make(folder):
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the archive closes it
    file.write(MIDDLE + b"what does not belong to it")
    file.flush()
    archive = Archive((HEAD, (file, len(MIDDLE)), kept_outside_memory(TAIL, folder)), hashlib.sha256(WHOLE).digest())
    return file, archive


async def test_all_of_it_comes_in_pieces_of_bounded_size(tmp_path):
    _, archive = make(tmp_path)
    async with archive:
        parts = [part async for part in archive.chunks(chunk_size=10_000)]
        assert archive.size == len(WHOLE)
        assert await archive.read() == WHOLE
    assert b"".join(parts) == WHOLE
    assert max(map(len, parts)) == 10_000


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 4), (0, 5), (3, 150_005), (4, 150_004), (150_004, 220_004), (220_003, None), (7, 7), (9, 3), (220_004, None)],
)
async def test_a_part_is_the_slice_of_the_whole(start, stop, tmp_path):
    _, archive = make(tmp_path)
    async with archive:
        assert b"".join([part async for part in archive.chunks(start, stop)]) == WHOLE[start:stop]


async def test_tag_and_digest_header_are_of_the_whole(tmp_path):
    _, archive = make(tmp_path)
    async with archive:
        assert archive.etag == f'"{hashlib.sha256(WHOLE).hexdigest()}"'
        assert archive.repr_digest.startswith("sha-256=:")
        assert archive.repr_digest.endswith("=:")


async def test_its_files_are_closed_with_it(tmp_path):
    file, archive = make(tmp_path)
    async with archive:
        assert not file.closed
    assert file.closed


async def test_a_file_that_is_cut_meanwhile_is_an_error_and_never_a_short_answer(tmp_path):
    file, archive = make(tmp_path)
    async with archive:
        file.truncate(100)
        with pytest.raises(OSError, match="was cut"):
            await archive.read()


def test_only_much_is_kept_outside_memory_and_then_in_the_given_folder_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    scratch = tmp_path / "made" / "when needed"
    assert kept_outside_memory(b"little", scratch) == b"little"
    assert not scratch.exists()
    file, size = kept_outside_memory(TAIL, scratch)
    with file:
        assert (size, os.pread(file.fileno(), size, 0)) == (len(TAIL), TAIL)
        assert os.fstat(file.fileno()).st_dev == scratch.stat().st_dev
    assert list(scratch.iterdir()) == []
