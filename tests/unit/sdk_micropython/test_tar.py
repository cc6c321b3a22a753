"""tar.py in the real MicroPython."""

import io
import json
import tarfile

import pytest

from tests.support.device_server import archive
from tests.support.micropython import run_script

FILES = {"main.py": b"x" * 700, "env.json": b"{}", "lib/a.py": b"", "a" * 60 + "/" + "b" * 90: b"long name"}
READ = """
import io, sys
import pepeunit.tar as tar
from pepeunit import ArchiveError

def read(data):
    reader = tar.Reader(io.BytesIO(data))
    view = memoryview(bytearray(100))
    found = {}
    while True:
        member = reader.next()
        if member is None:
            return found
        name, is_folder, size = member
        content = b""
        while True:
            count = reader.readinto(view)
            if not count:
                break
            content += bytes(view[:count])
        assert len(content) == size
        if not is_folder:
            found[name] = content

def refused(data):
    try:
        return read(data) and False
    except (ArchiveError, UnicodeError):
        return True

data = open("archive.tar", "rb").read()
"""


def write(directory, *members, **kwargs):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kwargs.pop("format", tarfile.USTAR_FORMAT)) as tar:
        for name, changes in members:
            info = tarfile.TarInfo(name)
            for key, value in changes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(b"." * info.size))
    (directory / "archive.tar").write_bytes(out.getvalue())


def test_files_come_out_as_they_went_in(tmp_path):
    (tmp_path / "archive.tar").write_bytes(archive(FILES))
    (tmp_path / "expected.json").write_text(json.dumps({name: data.hex() for name, data in FILES.items()}))
    run_script(
        READ
        + """
import json
assert {name: content.hex() for name, content in read(data).items()} == json.load(open("expected.json"))
""",
        tmp_path,
    )


def test_every_flipped_byte_of_a_header_and_every_truncation_is_refused_s2(tmp_path):
    (tmp_path / "archive.tar").write_bytes(archive({"main.py": b"x" * 700}))
    run_script(
        READ
        + """
assert read(data) == {"main.py": b"x" * 700}
for index in range(512):
    flipped = bytearray(data)
    flipped[index] ^= 0x11
    assert refused(flipped), index
for size in range(0, 512 * 5, 13):
    assert refused(data[:size]), size
for index in range(1536, len(data), 97):
    flipped = bytearray(data)
    flipped[index] = 1
    assert refused(flipped), index
""",
        tmp_path,
        heap="1m",
    )


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "./../x",
        "a/../../x",
        "/etc/x",
        "a//b",
        "a/./b",
        "..",
        ".pepeunit/installed.json",
        "./.pepeunit/x",
        "a\\b",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    write(tmp_path, ("good.py", {}), (name, {}))
    run_script(READ + "assert refused(data)", tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE]
)
def test_only_files_and_folders_are_taken(tmp_path, kind):
    write(tmp_path, ("good.py", {}), ("other", {"type": kind, "linkname": "good.py"}))
    run_script(READ + "assert refused(data)", tmp_path)


def test_folders_and_names_with_and_without_a_dot_are_taken(tmp_path):
    write(
        tmp_path,
        (".", {"type": tarfile.DIRTYPE}),
        ("./lib", {"type": tarfile.DIRTYPE}),
        ("./lib/a.py", {"size": 512}),
        ("b.py", {"size": 1}),
    )
    run_script(READ + 'assert read(data) == {"lib/a.py": b"." * 512, "b.py": b"."}', tmp_path)
