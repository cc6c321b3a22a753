import os
import stat
from pathlib import Path

import pytest

from pepeunit_gateway.broker.runtime_folder import make_runtime_folder, runtime_folder
from pepeunit_gateway.errors import StartError


def test_each_broker_folder_has_its_own_and_always_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    one, other = runtime_folder(Path("/a/b")), runtime_folder(Path("/a/c"))
    assert one == runtime_folder(Path("/a/b")) != other
    assert one.parent == Path("/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / ("x" * 60)))
    assert len(os.fsencode(runtime_folder(Path("/a/b")) / "m.sock")) <= 107


def test_it_is_private_and_is_taken_over_from_an_earlier_start(tmp_path):
    make_runtime_folder(tmp_path / "run")
    make_runtime_folder(tmp_path / "run")
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_folder_that_is_not_private_is_refused(tmp_path):
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    for name in ("open", "link"):
        with pytest.raises(StartError, match="Remove it"):
            make_runtime_folder(tmp_path / name)


def test_a_folder_that_cannot_be_made_is_named_with_its_variable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="PU_DATA_DIR"):
        make_runtime_folder(tmp_path / "file" / "run")
