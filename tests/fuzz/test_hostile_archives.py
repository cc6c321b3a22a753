"""Trees of any modes and names become archives that stay in their folder, or clear errors; what we parse, we parse."""

import asyncio
import io
import os
import subprocess
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pepeunit_gateway.errors import ApiError, GitRepoError
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.refs import Refs, parse_show_ref, publish_refs
from pepeunit_gateway.firmware.trees import parse_ls_tree
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding, read_members
from tests.support.raw_repository import RawRepository
from tests.support.repository import MIB

ENV, SCHEMA = b'{"a": 1}\n', b"{}\n"
TAR, ZIP, TGZ = ArchiveFormat.tar(), ArchiveFormat.zip(), ArchiveFormat.tgz()
FEWER = settings(max_examples=max(20, settings().max_examples // 2))
"""For what starts several processes per example."""


@dataclass
class Bench:
    """A mirror that is written by hand, and a cache that packs it."""

    folder: Path
    registry: UUID
    raw: RawRepository
    mirrors: MirrorCache

    def cache(self):
        return ArchiveCache(self.folder / "archives", self.mirrors, max_bytes=MIB)

    def commit(self, tree):
        commit = self.raw.commit(tree)
        publish_refs(self.raw.folder, Refs({"main": commit}, {}))
        return commit

    def build(self, commit, *formats):
        """Build the archives with a cache that remembers nothing."""

        async def run():
            archives = self.cache()
            try:
                return [await self._read(archives, commit, fmt) for fmt in formats]
            finally:
                await archives.close()

        return asyncio.run(run())

    async def _read(self, archives, commit, fmt):
        async with await archives.build(self.registry, commit, ENV, SCHEMA, fmt) as archive:
            return await archive.read()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    mirrors = MirrorCache(folder / "mirrors", max_size=MIB, allow_private=True, allow_file=(), timeout=60)
    registry = uuid4()
    mirror = mirrors.mirror(registry)
    subprocess.run(["git", "init", "--quiet", "--bare", str(mirror)], check=True, timeout=60)
    return Bench(folder, registry, RawRepository(mirror, folder), mirrors)


def check_message(error):
    assert error.message.isprintable()
    assert len(error.message) < 600


# --- any tree

modes = st.sampled_from([b"100644", b"100644", b"100755", b"120000", b"160000", b"40000", b"100664", b"0", b"777"])
pieces = st.sampled_from(
    [
        b"a",
        b"b",
        b"..",
        b".",
        b"/",
        b"\\",
        b".git",
        b".GIT",
        b"git~1",
        b" ",
        b"\n",
        b"\xff",
        b"\xe2\x80\x8c",
        b":",
        b"-",
        b"*",
    ]
)
plain = st.sampled_from(
    [b"a", b"b.py", b"A", b"lib", b" ", b"-", b"*", b":", b"git", b"\xd0\xb6", b"env.json", b"schema.json"]
)
odd = st.lists(pieces, min_size=1, max_size=4).map(b"".join) | st.binary(max_size=6) | st.just(b"n" * 101)
names = st.integers(0, 9).flatmap(lambda number: odd if number == 0 else plain)  # most trees have no odd name
contents = st.binary(max_size=700)
folders = st.recursive(
    st.lists(st.tuples(modes, names, contents), max_size=5),
    lambda below: st.lists(st.tuples(modes, names, contents) | st.tuples(st.just(b"40000"), names, below), max_size=5),
    max_leaves=12,
)


def write_tree(raw, rows):
    """Write a folder; a name with a NUL byte ends there, as it does in a tree."""
    lines = []
    for mode, name, content in rows:
        if isinstance(content, list):
            target = write_tree(raw, content)
        else:
            target = write_tree(raw, []) if mode == b"40000" else raw.blob(content)
        lines.append((mode, name.split(b"\0")[0], target))
    return raw.tree(lines)


def extracted(unpack):
    """Unpack in a folder within a folder and return the files; nothing lies beside it."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "in" / "here"
        folder.mkdir(parents=True)
        unpack(folder)
        found = [path for path in Path(outer).rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in found)
        assert all(path.is_relative_to(folder) for path in found)
        return {os.fsencode(path.relative_to(folder)): path.read_bytes() for path in found}


def contents_of(rows, above=b""):
    """Return every file of the rows that is not left out for its kind, by path."""
    found = []
    for mode, name, content in rows:
        path = above + name.split(b"\0")[0]
        if isinstance(content, list):
            found += contents_of(content, path + b"/")
        elif mode in {b"100644", b"100755", b"100664"}:
            found.append((path, content))
    return found


@FEWER
@given(folders)
def test_any_tree_is_packed_within_its_folder_or_told(bench, rows):
    commit = bench.commit(write_tree(bench.raw, rows))
    try:
        tar, zipped = bench.build(commit, TAR, ZIP)
    except ApiError as error:
        check_message(error)
        return
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        members = archive.getnames()
        assert len(members) == len(set(members))
        assert members[-2:] == ["./env.json", "./schema.json"]
        files = extracted(lambda folder: archive.extractall(folder, filter="fully_trusted"))  # noqa: S202 - that nothing escapes is what is tested
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert extracted(archive.extractall) == files
    assert files.pop(b"env.json") == ENV
    assert files.pop(b"schema.json") == SCHEMA
    assert set(files.items()) <= set(contents_of(rows))
    assert not any(part.lower() == b".git" for path in files for part in path.split(b"/"))


# --- damage


@FEWER
@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from([TAR, ZIP, TGZ]))
def test_a_cached_file_with_any_flipped_byte_is_made_anew_and_never_served(bench, position, flip, fmt):
    commit = bench.commit(bench.raw.program({b"lib": {b"a.py": b"a" * 700}}))
    (whole,) = bench.build(commit, fmt)
    for file in (bench.folder / "archives").rglob(f"{commit}*"):
        data = bytearray(file.read_bytes())
        data[position % len(data)] ^= flip
        file.write_bytes(data)
    assert bench.build(commit, fmt) == [whole]


MEMBERS = [
    Member("lib", 0, 1_700_000_000, is_dir=True),
    Member("lib/\u0436.py", 700, 1_700_000_000),
    Member("/".join(["d" * 30] * 6) + "/x", 512, 0, is_executable=True),
]
PACKED = b"".join(header(one) + b"x" * one.size + padding(one.size) for one in MEMBERS)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_flipped_byte_of_a_tar_changes_no_member_unnoticed(position, flip):
    data = bytearray(PACKED)
    data[position] ^= flip
    with suppress(DamagedTarError):
        assert list(read_members(io.BytesIO(bytes(data)), len(data))) == MEMBERS


@given(st.binary(max_size=3_000) | st.integers(0, len(PACKED)).map(lambda cut: PACKED[cut:] + PACKED[:cut]))
def test_no_bytes_crash_the_reader_of_tars(data):
    with suppress(DamagedTarError):
        list(read_members(io.BytesIO(data), len(data)))


# --- what git prints

NAME = b"a" * 40
WORDS = (b"100644 blob ", NAME, b"      5", b"\t", b"x", b"\0", b"120000", b" ", b"-", b"BAD", b"\xff", b"/", b"..")
garbage = st.lists(st.sampled_from(WORDS)).map(b"".join)
paths = st.lists(st.sampled_from((b"x", b"/", b"..", b".", b"\xff", b"\n")), min_size=1, max_size=5).map(b"".join)
rows_of_files = st.lists(paths.map(lambda path: b"100644 blob " + NAME + b"       5\t" + path + b"\0")).map(b"".join)


@given(st.binary() | garbage | rows_of_files)
def test_no_list_of_files_crashes_its_reader(output):
    try:
        files = parse_ls_tree(output)
    except GitRepoError as error:
        check_message(error)
        return
    assert not any(part in {"", ".", ".."} for file in files for part in file.path.split("/"))


PARTS = (NAME, b" ", b"refs/heads/", b"refs/tags/", b"x", b"^{}", b"\n", b"\r", b"\xff", b"\xe2\x80\xa8")
refs = st.lists(st.sampled_from(PARTS)).map(b"".join)


@given(st.binary() | refs)
def test_no_list_of_refs_crashes_its_reader(output):
    found = parse_show_ref(output)
    assert all(len(commit) == 40 for commit in [*found.heads.values(), *found.tags.values()])
    assert found.key == Refs(dict(found.heads), dict(found.tags)).key
