"""Any tree of files in any format: what was packed comes out, by other programs than ours."""

import hashlib
import io
import json
import tarfile
import zipfile
import zlib

from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.api.ranges import UnsatisfiableError, find_span
from pepeunit_gateway.firmware.archive import Archive
from pepeunit_gateway.firmware.jsonfile import dump_object
from pepeunit_gateway.firmware.packing import ArchiveFormat
from pepeunit_gateway.firmware.stems import load_stem, open_stem, store_stem
from pepeunit_gateway.firmware.ustar import Member, header, padding
from tests.support.stems import archive_of, stem_of

_NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("C",)), min_size=1, max_size=20
)
_PATHS = st.lists(_NAMES.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=2).map("/".join)
_CONTENTS = st.one_of(
    st.binary(max_size=2_000),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(0, 3_000)).map(lambda pair: pair[0] * pair[1]),
)
_TREES = st.dictionaries(_PATHS, _CONTENTS, max_size=6)
_OWN = st.fixed_dictionaries({"env.json": _CONTENTS, "schema.json": _CONTENTS})
_FORMATS = st.builds(
    ArchiveFormat.tgz,
    st.sampled_from([*range(-15, -8), *range(9, 16), *range(25, 32)]),
    st.integers(-1, 9),
)


def _stem(tree):
    members = [Member(path, len(data), 9) for path, data in sorted(tree.items())]
    return b"".join(header(one) + tree[one.path] + padding(one.size) for one in members)


def _untar(data):
    assert len(data) % 10_240 == 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return [(info.name, archive.extractfile(info).read()) for info in archive]


@given(_TREES, _OWN)
def test_a_tar_holds_every_file_and_the_own_ones_last(tree, own):
    found = _untar(archive_of(_stem(tree), own, ArchiveFormat.tar()))
    assert found == [(f"./{path}", data) for path, data in [*sorted(tree.items()), *own.items()]]


@given(_TREES, _OWN, _FORMATS)
def test_what_every_window_and_level_gives_is_the_tar(tree, own, fmt):
    stem = _stem(tree)
    machine = zlib.decompressobj(fmt.wbits)
    assert machine.decompress(archive_of(stem, own, fmt)) == archive_of(stem, own, ArchiveFormat.tar())
    assert (machine.eof, machine.unused_data) == (True, b"")


@given(_TREES, _OWN)
def test_a_zip_holds_every_file(tree, own):
    with zipfile.ZipFile(io.BytesIO(archive_of(_stem(tree), own, ArchiveFormat.zip()))) as archive:
        assert archive.testzip() is None
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == [
            *sorted(tree.items()),
            *own.items(),
        ]


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=10,
        ),
        max_size=4,
    )
)
def test_env_and_schema_are_written_as_the_standard_library_writes_them(value):
    assert dump_object(value) == json.dumps(value, indent=4, ensure_ascii=False).encode() + b"\n"


@given(_TREES, _FORMATS)
def test_a_stem_that_was_on_disk_is_the_same_stem(tmp_path_factory, tree, fmt):
    facts, data = stem_of(_stem(tree), fmt)
    path = tmp_path_factory.getbasetemp() / "property.stem"
    store_stem(path, lambda out, _check: (out.write(data), facts)[1], lambda: None)
    file, stat = open_stem(path)
    with file:
        stem = load_stem(file, stat, b"head", 1.0, lambda: None)
    assert (stem.facts, stem.head, stem.sha.digest()) == (
        facts, b"head" + data[: facts.size], hashlib.sha256(b"head" + data[: facts.size]).digest()
    )  # fmt: skip


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(0, 1_300), st.none() | st.integers(0, 1_300))
async def test_any_part_of_an_archive_is_the_slice_of_the_whole(pieces, start, stop):
    whole = b"".join(pieces)
    async with Archive(tuple(pieces), b"") as archive:
        assert b"".join([part async for part in archive.chunks(start, stop, chunk_size=7)]) == whole[start:stop]


@given(st.integers(1, 50), st.none() | st.integers(0, 60), st.none() | st.integers(0, 60))
def test_any_range_is_the_slice_that_the_standard_means(size, first, last):
    content = bytes(range(size))
    text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    try:
        span = find_span(text, None, etag='"x"', size=size)
    except UnsatisfiableError:
        assert (first is not None and first >= size) or (first is None and last == 0)
        return
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert span is None
    elif first is None:
        assert content[span.start : span.stop] == content[-last:]
    else:
        assert content[span.start : span.stop] == content[first : None if last is None else last + 1]


@given(st.text(max_size=40), st.none() | st.text(max_size=20))
def test_no_range_header_does_more_than_ask_for_a_part(text, if_range):
    for value in (text, f"bytes={text}"):
        try:
            span = find_span(value, if_range, etag='"x"', size=10)
        except UnsatisfiableError:
            continue
        assert span is None or 0 <= span.start < span.stop <= 10
