"""YAML without shorthand: what would grow is refused, whatever else a person writes is read."""

import pytest

from pepeunit_gateway.datapipe.plain_yaml import MAX_DEPTH, PlainYamlError, load_plain_yaml


def merge_bomb(lines: int) -> bytes:
    """Each line merges the one before twice: 2**lines pairs to copy, in 22 bytes a line."""
    return b"x: &a0 {k: v}\n" + b"".join(
        b"y%d: &a%d {<<: [*a%d, *a%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, lines)
    )


def alias_bomb(lines: int) -> bytes:
    """Cheap to load, and 10**lines values for whoever walks over it."""
    nine = b", ".join([b"*a%d"] * 9)
    return b"x: &a0 [v]\n" + b"".join(b"y%d: &a%d [%s]\n" % (n, n, nine % ((n - 1,) * 9)) for n in range(1, lines))


@pytest.mark.parametrize("bomb", [merge_bomb(30), alias_bomb(12)], ids=["merge keys", "aliases"])
def test_a_short_text_that_would_become_huge_is_refused_unread(bomb):
    assert len(bomb) < 1100
    with pytest.raises(PlainYamlError, match=r"anchor \(&\) or alias \(\*\) stands for in line 1"):
        load_plain_yaml(bomb)


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (b"a: &x 1", 1),
        (b"a: 1\nb: &x [1]", 2),
        (b"&x {a: 1}", 1),
        (b"a: 1\n\n&x b: 2", 3),
        (b"a: *x", 1),
        (b"? *x\n: 1", 1),
        (b"&x [*x]", 1),
    ],
)
def test_every_anchor_and_alias_is_refused_with_its_line(document, line):
    with pytest.raises(PlainYamlError, match=rf"write out what the anchor .* in line {line}$"):
        load_plain_yaml(document)


@pytest.mark.parametrize("document", [b"<<: {a: 1}", b"a: {<<: [{b: 1}, {b: 2}]}", b"!!merge x: {a: 1}", b"a: <<"])
def test_every_merge_key_is_refused(document):
    with pytest.raises(PlainYamlError, match=r"write out what the merge key \(<<\) adds in line 1$"):
        load_plain_yaml(document)


def test_what_only_looks_like_shorthand_is_text():
    document = b"""a: "*x"\nb: '&x'\nc: "<<"\n'<<': x & y * 2 << 3\n"""
    assert load_plain_yaml(document) == {"a": "*x", "b": "&x", "c": "<<", "<<": "x & y * 2 << 3"}


NESTS = [(b"[", b"]"), (b"{a: ", b"}"), (b"- ", b"")]


@pytest.mark.parametrize(("start", "end"), NESTS)
def test_nesting_up_to_the_limit_is_read(start, end):
    assert load_plain_yaml(start * MAX_DEPTH + b"1" + end * MAX_DEPTH)


@pytest.mark.parametrize(("start", "end"), [*NESTS, (b"? ", b"")])
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 4000])
def test_deeper_nesting_is_refused(start, end, levels):
    with pytest.raises(PlainYamlError, match=rf"nested deeper than {MAX_DEPTH} levels in line 1$"):
        load_plain_yaml(start * levels + b"1" + end * levels)


def test_many_neighbours_are_no_depth():
    assert load_plain_yaml(b"- [1]\n" * 500) == [[1]] * 500
