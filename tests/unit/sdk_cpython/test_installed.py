import stat

import pytest

from pepeunit.files import Disk
from pepeunit.installed import Installed, read_installed, write_installed


def test_what_was_written_is_read(tmp_path):
    assert read_installed(tmp_path) is None
    for installed in (Installed("a" * 40), Installed("b" * 40, ("main.py", "lib/a.py"))):
        write_installed(Disk(), tmp_path, installed)
        assert read_installed(tmp_path) == installed
    assert stat.S_IMODE((tmp_path / ".pepeunit/installed.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b'"x"', b'{"commit": 1, "files": 2}'])
def test_a_damaged_record_means_no_known_version_so_that_the_next_target_heals_it(tmp_path, data):
    (tmp_path / ".pepeunit").mkdir()
    (tmp_path / ".pepeunit/installed.json").write_bytes(data)
    assert read_installed(tmp_path) == Installed("")
