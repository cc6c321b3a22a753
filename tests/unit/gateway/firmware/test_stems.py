import hashlib

import pytest

from pepeunit_gateway.firmware import stems
from pepeunit_gateway.firmware.packing import StemFacts
from pepeunit_gateway.firmware.stems import DamagedStemError, load_stem, mark_stem, open_stem, read_facts, store_stem
from pepeunit_gateway.firmware.thread_work import StoppedError

STEM, DIRECTORY = b"stem" * 1_000, b"directory"
FACTS = StemFacts(4_000, 9_000, 1_700_000_000, 2**32 - 1, 77, len(DIRECTORY), 3)


def wanted():
    """Nobody gives up."""


def write(out, _check):
    out.write(STEM + DIRECTORY)
    return FACTS


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "registry" / "one.stem"
    store_stem(path, write, wanted)
    return path


def load(path, header=b"head"):
    file, stat = open_stem(path)
    with file:
        return load_stem(file, stat, header, 5.0, wanted)


def test_a_small_stem_comes_back_whole_with_its_facts_and_a_running_digest(path):
    stem = load(path)
    assert (stem.facts, stem.directory, stem.head, stem.is_whole) == (FACTS, DIRECTORY, b"head" + STEM, True)
    assert stem.sha.digest() == hashlib.sha256(b"head" + STEM).digest()
    assert stem.is_of(path.stat())
    assert stem.weight > len(STEM)


def test_a_large_stem_stays_on_disk(path, monkeypatch):
    monkeypatch.setattr(stems, "_KEPT", 3_999)
    stem = load(path)
    assert (stem.head, stem.is_whole) == (b"head", False)
    assert stem.sha.digest() == hashlib.sha256(b"head" + STEM).digest()


def test_whoever_reads_the_facts_stands_at_the_stem(path):
    file, _ = open_stem(path)
    with file:
        assert read_facts(file, wanted) == FACTS
        assert file.read(4_000) == STEM


def test_every_flipped_bit_and_every_cut_is_noticed(path):
    whole = path.read_bytes()
    places = [*range(0, len(whole), 97), *range(len(STEM), len(whole))]
    damaged = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in places]
    damaged += [whole[:at] for at in (0, 1, 100, len(whole) - 1)] + [whole + b"x", b"x" * len(whole), bytes(4_096)]
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(DamagedStemError):
            load(path)


def test_a_file_of_another_content_is_not_taken_for_the_same(path):
    stem = load(path)
    store_stem(path, write, wanted)
    assert not stem.is_of(path.stat())


def test_marking_a_stem_as_used_does_not_make_it_another_one(path):
    stem = load(path)
    mark_stem(stem, path, 2_000_000_000.0)
    assert path.stat().st_atime == stem.used == 2_000_000_000.0
    assert stem.is_of(path.stat())
    path.unlink()
    mark_stem(stem, path, 2_000_000_001.0)


@pytest.mark.parametrize("error", [StoppedError, OSError])
def test_a_failed_write_leaves_neither_the_stem_nor_a_part_of_it(tmp_path, error):
    def fail(out, _check):
        out.write(b"some")
        raise error

    with pytest.raises(error):
        store_stem(tmp_path / "a" / "one.stem", fail, wanted)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_stem_that_is_there_stays_when_its_successor_fails(path):
    def fail(_out, _check):
        raise StoppedError

    with pytest.raises(StoppedError):
        store_stem(path, fail, wanted)
    assert load(path).facts == FACTS
