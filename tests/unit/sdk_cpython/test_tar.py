import io
import tarfile

import pytest

from pepeunit.errors import ArchiveError
from pepeunit.tar import clean_name, members
from tests.support.device_server import archive
from tests.support.tars import member as info
from tests.support.tars import tar_of

FILES = {"main.py": b"x" * 700, "lib/a.py": b"", "lib/deep/b.py": b"y" * 512}


def read(data):
    source = io.BytesIO(data)
    found = {}
    for member in members(source):
        if not member.is_directory:
            found[member.name] = source.read(member.size)
            source.read(-member.size % 512)
    return found


def test_a_plain_ustar_is_read():
    assert read(archive(FILES)) == FILES


def test_pax_records_of_gateways_in_the_field_are_read():
    long = "d" * 90 + "/" + "e" * 200 + ".py"
    made = info("./" + long, size=3, pax_headers={"mtime": "1.5"})
    assert read(tar_of(info("./x.py", size=2, pax_headers={"mtime": "1.5"}), made, form=tarfile.PAX_FORMAT)) == {
        "x.py": b"zz",
        long: b"zzz",
    }


def test_a_long_name_in_the_prefix_of_ustar_is_read():
    name = "a" * 90 + "/" + "b" * 90
    assert read(tar_of(info(name, size=1))) == {name: b"z"}


def test_every_flip_of_a_bit_in_a_header_is_noticed_or_changes_nothing():
    data = archive({"main.py": b"x"})
    for position in range(512):
        altered = bytearray(data)
        altered[position] ^= 0x10
        try:
            found = read(bytes(altered))
        except ArchiveError:
            continue
        assert found == {"main.py": b"x"}, position


def test_a_cut_anywhere_is_noticed():
    data = archive(FILES)
    whole = data.rstrip(b"\0")
    end = -(-len(whole) // 512) * 512 + 1024
    for length in range(0, end, 128):
        with pytest.raises(ArchiveError):
            read(data[:length])


@pytest.mark.parametrize(
    "member",
    [
        info("/etc/passwd"),
        info("../up"),
        info("a/../../up"),
        info("a//b"),
        info("link", tarfile.SYMTYPE, linkname="main.py"),
        info("link", tarfile.LNKTYPE, linkname="main.py"),
        info("fifo", tarfile.FIFOTYPE),
        info("device", tarfile.CHRTYPE),
        info("."),
    ],
    ids=lambda member: f"{member.name}-{member.type!r}",
)
def test_what_is_no_plain_file_below_the_directory_is_refused(member):
    with pytest.raises(ArchiveError):
        read(tar_of(member))


def test_data_behind_the_end_is_refused():
    with pytest.raises(ArchiveError, match="behind its end"):
        read(archive(FILES) + b"x" * 512)


def test_names_are_cleaned():
    assert [clean_name(name) for name in ("./a/b", "a/b/", ".", "./", "a/./b")] == ["a/b", "a/b", "", "", "a/b"]
