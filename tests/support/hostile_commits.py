"""Repositories whose commits, tags and refs are hostile: dates, texts, names, shapes of history."""

from collections.abc import Callable
from dataclasses import replace

from tests.support.hostile_case import Case
from tests.support.raw_repository import RawRepository

__all__ = ["COMMITS", "REFS"]

FETCH_FAILS = "failed|broke off|damaged"


def _commit(**more: bytes) -> Case:
    """One commit with odd facts and the harmless program."""
    return Case(lambda raw: raw.ref(b"refs/heads/main", raw.commit(raw.program(), **more)))


def _large_commit(**more: bytes) -> Case:
    """Expect a commit that is itself too large for the files of it to be read."""
    return replace(_commit(**more), archive="git printed more", examples="git printed more")


def _raw_commit(data: bytes, sync: str = "") -> Case:
    def build(raw: RawRepository) -> None:
        raw.ref(b"refs/heads/main", raw.write("commit", data.replace(b"TREE", raw.program().encode())))

    return Case(build, sync=sync, unchecked=bool(sync))


def _octopus(raw: RawRepository) -> None:
    parents = [raw.commit(raw.program({b"n": b"%d" % number})) for number in range(40)]
    raw.publish(raw.program(), *parents)


def _same_parent_often(raw: RawRepository) -> None:
    first = raw.commit(raw.program())
    raw.publish(raw.program(), *[first] * 100)


def _unrelated(raw: RawRepository) -> None:
    raw.publish(raw.program())
    for number in range(20):
        raw.ref(b"refs/heads/other-%d" % number, raw.commit(raw.program({b"other": b"%d" % number})))


def _ladder(raw: RawRepository) -> None:
    """Write 60 merges in which every path down doubles: 2**60 paths."""
    left = right = raw.commit(raw.program())
    for number in range(60):
        left, right = (
            raw.commit(raw.program(), left, right, message=b"%d%s" % (number, side)) for side in (b"l", b"r")
        )
    raw.ref(b"refs/heads/main", left)


def _tags(raw: RawRepository) -> None:
    commit = raw.publish(raw.program())
    nested = commit
    for number in range(200):
        nested = raw.tag(nested, "commit" if number == 0 else "tag")
    blob, tree = raw.blob(b"x"), raw.tree_of({b"y": b"y"})
    targets = {"deep": nested, "blob": blob, "tree": tree, "of-blob": raw.tag(blob, "blob"), "-d": commit}
    raw.refs({f"refs/tags/{name}".encode(): target for name, target in targets.items()})


def _names(raw: RawRepository) -> None:
    commit = raw.publish(raw.program())
    raw.refs({b"refs/heads/" + name: commit for name in NAMES} | {b"refs/tags/" + name: commit for name in NAMES})


NAMES = (
    b"--upload-pack=touch",
    b"-c",
    b"--",
    b"-",
    b"HEAD",
    b"FETCH_HEAD",
    b"refs/heads/main",
    b"a" * 40,
    b"0123456789abcdef0123456789abcdef01234567",
    b"config",
    b"$(id)",
    b"`id`",
    b"a;b|c&d",
    b"'\"",
    b"%s%n",
    "\u202etag".encode(),
    "\u2028\u00a0".encode(),
    "жук".encode(),
    b"n" * 200,
    b"/".join([b"d"] * 100),
    b"pepeunit-refs.json",
)


def _unreadable_names(raw: RawRepository) -> None:
    raw.refs({b"refs/heads/\xff\xfe": raw.publish(raw.program()), b"refs/tags/\xc3": raw.commit(raw.program())})


def _forbidden_names(raw: RawRepository) -> None:
    """Write names that git itself forbids and does not tell its clients."""
    commit = raw.publish(raw.program())
    for name in (b"../../config", b"a..b", b"a/../../../x", b".hidden", b"x.lock", b"a//b", b"a\x07b", b"c@{1}", b"d/"):
        raw.ref(b"refs/heads/" + name, commit)


def _spaced_name(raw: RawRepository) -> None:
    raw.ref(b"refs/heads/a b", raw.publish(raw.program()))


def _many(number: int) -> Callable[[RawRepository], None]:
    def build(raw: RawRepository) -> None:
        commit = raw.publish(raw.program())
        raw.refs({b"refs/heads/b%05d" % index: commit for index in range(number)})
        raw.refs({b"refs/tags/t%05d" % index: commit for index in range(number)})

    return build


def _deep_name(raw: RawRepository) -> None:
    raw.ref(b"refs/heads/" + b"/".join([b"a"] * 1_100), raw.publish(raw.program()))


def _file_and_folder(raw: RawRepository) -> None:
    commit = raw.publish(raw.program())
    raw.refs({b"refs/heads/a": commit, b"refs/heads/a/b": commit})


def _branch_of(kind: str) -> Case:
    def build(raw: RawRepository) -> None:
        commit = raw.publish(raw.program())
        target = {"tag": raw.tag(commit, "commit"), "blob": raw.blob(b"x"), "tree": raw.program()}[kind]
        raw.ref(b"refs/heads/odd", target)

    return Case(build, sync=FETCH_FAILS)


def _hidden_refs(raw: RawRepository) -> None:
    """Write what a mirror must not take over: replaced objects, notes and what platforms keep of merge requests."""
    commit = raw.publish(raw.program())
    other = raw.commit(raw.program({b"evil.py": b"x"}))
    places = (
        b"refs/replace/" + commit.encode(),
        b"refs/notes/commits",
        b"refs/pull/1/head",
        b"refs/stash",
        b"refs/meta/config",
    )
    raw.refs(dict.fromkeys(places, other))


def _nowhere(raw: RawRepository) -> None:
    raw.publish(raw.program())
    (raw.folder / "HEAD").write_text("ref: refs/heads/nowhere\n")


def _missing_parent(raw: RawRepository) -> None:
    raw.publish(raw.program(), "6" * 40)


def _shallow(raw: RawRepository) -> None:
    first = "6" * 40
    commit = raw.publish(raw.program(), first)
    (raw.folder / "shallow").write_text(f"{commit}\n")


WHEN = b"1700000000 +0000"
PEOPLE = b"author M <m@x> %s\ncommitter M <m@x> %s\n"

COMMITS: dict[str, Case] = {
    "a date before 1970": _commit(when=b"-99999999999 +0000"),
    "a date in 2200": _commit(when=b"7258118400 +0000"),
    "a date beyond 64 bits": _commit(when=b"99999999999999999999999999 +9999"),
    "a date of letters": _commit(when=b"yesterday"),
    "no date": _commit(when=b""),
    "a date with a newline": _commit(when=b"1\n2 +0000"),
    "an author of control codes": _commit(author=b"\x1b[2J\x07<\xff> <<>>"),
    "an encoding that is not": _commit(headers=b"encoding \xff../../x\n", message=b"\xff\xfe"),
    "an encoding of two bytes": _commit(headers=b"encoding UTF-16\n", message="жук".encode("utf-16")),
    "a text that is not UTF-8": _commit(message=b"\xff\xfe\x80 | cut\n"),
    "a text with NUL": _commit(message=b"a\0b\nc\0"),
    "a text of control codes": _commit(message=b"\x1b]0;x\x07\r\x0b\x0c\x85\xe2\x80\xa8z\n"),
    "no text": _commit(message=b""),
    "a text of 5 MB in one line": _large_commit(message=b"long " * 1_000_000),
    "a text that looks like our lines": _commit(message=b"a" * 40 + b" x\n" + b"commit " + b"b" * 40 + b"\n"),
    "a header of 5 MB": _large_commit(headers=b"gpgsig " + b"x" * 5_000_000 + b"\n"),
    "a signature": _commit(
        headers=b"gpgsig -----BEGIN PGP SIGNATURE-----\n $(touch x)\n -----END PGP SIGNATURE-----\n"
    ),
    "no people": _raw_commit(b"tree TREE\n\nx\n"),
    "two trees": _raw_commit(b"tree TREE\ntree " + b"4" * 40 + b"\n" + PEOPLE % (WHEN, WHEN) + b"\nx\n"),
    "a commit of garbage": _raw_commit(b"\xff" * 1_000, sync=FETCH_FAILS),
    "an empty commit": _raw_commit(b"", sync=FETCH_FAILS),
    "a tree that is missing": _raw_commit(
        b"tree " + b"4" * 40 + b"\n" + PEOPLE % (WHEN, WHEN) + b"\nx\n", sync=FETCH_FAILS
    ),
    "a parent that is missing": Case(_missing_parent, sync=FETCH_FAILS, unchecked=True),
    "forty parents": Case(_octopus),
    "one parent a hundred times": Case(_same_parent_often),
    "unrelated histories": Case(_unrelated, branches=None),
    "paths without number": Case(_ladder),
}

REFS: dict[str, Case] = {
    "tags of tags, files and folders": Case(_tags),
    "names like options, objects and commands": Case(_names, branches=frozenset({"main", *map(bytes.decode, NAMES)})),
    "names that are not UTF-8": Case(_unreadable_names),
    "names that git forbids": Case(_forbidden_names, unchecked=True),
    "a name with a space": Case(_spaced_name, sync="failed", unchecked=True),
    "nearly five thousand": Case(_many(2_400), branches=None),
    "six thousand": Case(_many(3_000), sync="has 6001 branches and tags, more than 5000"),
    "a name deeper than Python recurs": Case(_deep_name, branches=frozenset({"main", "/".join(["a"] * 1_100)})),
    "a file and a folder": Case(_file_and_folder, sync="failed"),
    "a branch that is a tag": _branch_of("tag"),
    "a branch that is a file": _branch_of("blob"),
    "a branch that is a folder": _branch_of("tree"),
    "what is no branch": Case(_hidden_refs),
    "a HEAD to nowhere": Case(_nowhere),
    "a history that is cut": Case(_shallow, branches=frozenset()),
    "nothing at all": Case(lambda _: None, branches=frozenset()),
}
