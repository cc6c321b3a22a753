import json

import pytest

from pepeunit_gateway.firmware.folders import folder_size
from pepeunit_gateway.firmware.inventory import size_if_whole, take_inventory


@pytest.fixture
def mirror(tmp_path):
    for path in ("HEAD", "config", "pepeunit-refs.json", "objects/pack/pack-1.pack", "objects/pack/pack-1.idx"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 1_000)
    return tmp_path


def test_a_mirror_that_stayed_as_it_was_is_whole_and_as_large(mirror):
    size = take_inventory(mirror)
    assert size == folder_size(mirror) == size_if_whole(mirror)
    assert take_inventory(mirror) == size


def test_without_a_list_nothing_is_known(mirror):
    assert size_if_whole(mirror) is None
    assert size_if_whole(mirror / "nothing") is None


@pytest.mark.parametrize("path", ["HEAD", "objects/pack/pack-1.pack", "pepeunit-refs.json"])
def test_a_file_that_is_gone_shorter_or_new_shows(mirror, path):
    take_inventory(mirror)
    content = (mirror / path).read_bytes()
    (mirror / path).write_bytes(content[:-1])
    assert size_if_whole(mirror) is None
    (mirror / path).unlink()
    assert size_if_whole(mirror) is None
    (mirror / path).write_bytes(content)
    assert size_if_whole(mirror) is not None
    (mirror / f"{path}.more").touch()
    assert size_if_whole(mirror) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"files": {}}', '{"files": {}, "size": "x"}', "\0" * 99])
def test_a_broken_list_is_no_list(mirror, content):
    take_inventory(mirror)
    (mirror / "pepeunit-files.json").write_text(content)
    assert size_if_whole(mirror) is None


def test_a_size_that_is_no_number_is_no_size(mirror):
    take_inventory(mirror)
    document = json.loads((mirror / "pepeunit-files.json").read_text())
    (mirror / "pepeunit-files.json").write_text(json.dumps({**document, "size": None}))
    assert size_if_whole(mirror) is None
