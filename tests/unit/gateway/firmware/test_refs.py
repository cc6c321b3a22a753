from pathlib import Path

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.refs import REFS_FILE, Refs, load_refs, parse_show_ref, publish_refs, require_bounded

A, B, C = "a" * 40, "b" * 40, "c" * 40


def test_show_ref_is_read_and_annotated_tags_are_peeled():
    output = (
        f"{A} refs/heads/main\n{B} refs/heads/a/b\n{C} refs/tags/v1\n{A} refs/tags/v1^{{}}\n{B} refs/tags/v2\n"
    ).encode() + b"%s refs/heads/\xff\n" % A.encode()
    assert parse_show_ref(output) == Refs({"a/b": B, "main": A}, {"v1": A, "v2": B})


@pytest.mark.parametrize(
    "line", [b"x", b"\xff" * 40 + b" refs/heads/a", b"A" * 40 + b" refs/heads/a", b"0 refs/tags/b"]
)
def test_a_line_that_names_no_object_is_left_out(line):
    assert parse_show_ref(b"%s\n%s refs/heads/main\n" % (line, A.encode())) == Refs({"main": A}, {})


def test_an_empty_repository_has_no_refs():
    assert parse_show_ref(b"") == Refs({}, {})


def test_of_several_tags_on_a_commit_the_lexicographically_smallest_wins():
    assert Refs({}, {"v2": A, "v10": A, "z": B}).tag_of == {A: "v10", B: "z"}


def test_equal_states_have_equal_keys():
    assert Refs({"a": A, "b": B}, {}).key == Refs({"b": B, "a": A}, {}).key != Refs({"a": A}, {}).key


def test_what_is_published_is_read_back(tmp_path: Path):
    assert load_refs(tmp_path) is None
    publish_refs(tmp_path, Refs({"main": A}, {"v1": B}))
    assert load_refs(tmp_path) == Refs({"main": A}, {"v1": B})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"heads": {}}', b'{"heads": [], "tags": []}', b'{"heads": {"a": 1}, "tags": {}}'],
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, content):
    (tmp_path / REFS_FILE).write_bytes(content)
    assert load_refs(tmp_path) is None


def named(number: int, length: int = 5) -> dict[str, str]:
    return {f"{index:0{length}}": A for index in range(number)}


def test_as_many_as_may_be_listed_are_taken():
    require_bounded(Refs(named(3_000), named(2_000)))
    require_bounded(Refs(named(1_024, 256), named(1_024, 256)))


@pytest.mark.parametrize(
    ("refs", "reason"),
    [
        (Refs(named(3_000), named(2_001)), "has 5001 branches and tags"),
        (Refs(named(1_025, 256), named(1_024, 256)), "take 524544 bytes"),
        (Refs({"я" * 300_000: A}, {}), "take 600000 bytes"),
    ],
)
def test_w55_more_branches_and_tags_than_anybody_may_be_told_are_refused(refs, reason):
    with pytest.raises(RepositoryRegistryError, match=reason):
        require_bounded(refs)
