"""Repositories whose trees and names are hostile: what they point to, what they are called, how they are written."""

from tests.support.hostile_case import Case
from tests.support.raw_repository import PROGRAM, Content, Link, Mode, RawRepository, Submodule

__all__ = ["TREES"]

UNSAFE = "cannot be unpacked safely"
TWICE = "stands in the commit twice"
UNREADABLE = r"cannot be read|cannot be used|damaged"
BROKEN = r"failed|bad|malformed|broke off|damaged|cannot be"


def _refused(name: bytes, hint: str = UNSAFE) -> Case:
    return Case(lambda raw: raw.publish(raw.program({}, (b"100644", name, raw.blob(b"x")))), archive=hint)


def _kept(path: bytes, content: bytes = b"x") -> Case:
    return Case(
        lambda raw: raw.publish(raw.program({}, (b"100644", path, raw.blob(content)))),
        files={**PROGRAM, path: content},
    )


def _submodules(raw: RawRepository) -> dict[bytes, bytes]:
    marker = raw.outside / "marker"
    modules = (
        f'[submodule "../../../outside"]\n\tpath = sub\n\turl = "ext::{marker} %S"\n\tupdate = "!{marker}"\n'
        f'[submodule "a"]\n\tpath = b\n\turl = file://{raw.outside}\n\tfetchRecurseSubmodules = true\n'
        f'[submodule "--upload-pack={marker}"]\n\tpath = -c\n\turl = --upload-pack={marker}\n'
    )
    content = {b".gitmodules": modules.encode(), b"sub": Submodule(), b"b": Submodule(), b"-c": Submodule()}
    raw.publish(raw.program(content))
    return {**PROGRAM, b".gitmodules": modules.encode()}


def _attributes(raw: RawRepository) -> dict[bytes, bytes]:
    attributes = b"* filter=evil diff=evil merge=evil ident text eol=lf working-tree-encoding=UTF-16 export-subst\n"
    files = {b".gitattributes": attributes + b"out export-ignore\n", b"text": b"$Format:%H$ $Id$\r\n", b"out": b"x"}
    raw.publish(raw.program(files))
    return {**PROGRAM, **files}


def _links(raw: RawRepository) -> None:
    secret = str(raw.outside / "secret.txt").encode()
    content: dict[bytes, Content] = {
        b"absolute": Link(secret),
        b"folder": Link(str(raw.outside).encode()),
        b"up": Link(b"../" * 40 + secret.removeprefix(b"/")),
        b"git": Link(b".git"),
        b"itself": Link(b"itself"),
        b"empty": Link(b""),
        b"proc": Link(b"/proc/self/environ"),
        b"lib": {b"deep": Link(b"../../../../.git/config")},
        b"schema.json": Link(secret),
        b"env.json": Link(secret),
        b".gitattributes": Link(secret),
        b".gitmodules": Link(secret),
    }
    raw.publish(raw.program(content))


def _linked_examples(raw: RawRepository) -> None:
    secret = Link(str(raw.outside / "secret.txt").encode())
    names = (b"schema_example.json", b"env_example.json", b".pepeignore")
    raw.publish(raw.tree_of({b"main.py": b"1", **dict.fromkeys(names, secret)}))


def _link_over_folder(raw: RawRepository) -> None:
    link = (b"120000", b"d", raw.blob(str(raw.outside).encode()))
    folder = (b"40000", b"d", raw.tree_of({b"secret.txt": b"written through a link"}))
    raw.publish(raw.program({}, link, folder))


def _repository_inside(raw: RawRepository) -> dict[bytes, bytes]:
    marker = str(raw.outside / "marker").encode()
    config = b"[core]\n\tfsmonitor = %s\n\tsshCommand = %s\n\tpager = %s\n[alias]\n\tfetch = !%s\n" % ((marker,) * 4)
    hook = b"#!/bin/sh\n" + marker
    inside: dict[bytes, Content] = {
        b"HEAD": b"ref: refs/heads/main\n",
        b"config": config,
        b"objects": {b"x": b""},
        b"refs": {b"x": b""},
        b"hooks": {b"post-checkout": Mode(b"100755", hook)},
    }
    variants = (b".git", b".GIT", b".git ", b".git...", b"git~1", ".g\u200cit".encode(), b".git::$DATA")
    raw.publish(raw.program({**inside, **dict.fromkeys(variants, inside), b"lib": {b".Git": inside}}))
    files = {b"HEAD": b"ref: refs/heads/main\n", b"config": config, b"objects/x": b"", b"refs/x": b""}
    return {**PROGRAM, **files, b"hooks/post-checkout": hook}


def _modes(raw: RawRepository) -> dict[bytes, bytes]:
    """Write files of every mode; git takes each of them for a file, a link or a submodule."""
    digits = (b"100664", b"0100644", b"104755", b"60000", b"10000", b"140000", b"0", b"7777777", b"120777")
    raw.publish(raw.program({b"mode" + mode: Mode(mode, b"x") for mode in digits}))
    return {**PROGRAM, **{b"mode" + mode: b"x" for mode in digits[:3]}}


def _deep(levels: int) -> "Case":
    def build(raw: RawRepository) -> None:
        inner = raw.tree_of({b"x": b"deep"})
        for _ in range(levels):
            inner = raw.tree([(b"40000", b"a", inner)])
        raw.publish(raw.program({}, (b"40000", b"z", inner)))

    return Case(build, archive="too long|bytes; at most 1024")


def _malformed(data: bytes) -> Case:
    def build(raw: RawRepository) -> None:
        raw.publish(raw.write("tree", data.replace(b"BLOB", bytes.fromhex(raw.blob(b"x")))))

    return Case(build, sync=BROKEN, unchecked=True)


def _lying(digits: bytes, kind: str, **expected: str) -> Case:
    def build(raw: RawRepository) -> None:
        target = raw.blob(b"x") if kind == "blob" else raw.tree_of({b"y": b"y"})
        raw.publish(raw.program({b"lie": Mode(digits, object=target)}))

    return Case(build, unchecked=True, **expected)  # type: ignore[arg-type]


def _collisions(raw: RawRepository) -> dict[bytes, bytes]:
    files = {b"Main.py": b"2", b"ENV.JSON": b"3", "e\u0301".encode(): b"4", "\u00e9".encode(): b"5"}
    raw.publish(raw.program(files))
    return {**PROGRAM, **files}


TREES: dict[str, Case] = {
    "submodules": Case(_submodules),
    "attributes": Case(_attributes),
    "links": Case(_links),
    "linked examples": Case(_linked_examples, examples="line 1, column 1", files={b"main.py": b"1"}),
    "a link over a folder": Case(_link_over_folder, files={**PROGRAM, b"d/secret.txt": b"written through a link"}),
    "a repository inside": Case(_repository_inside),
    "odd modes": Case(_modes),
    "collisions of case and form": Case(_collisions),
    "a file called ..": _refused(b".."),
    "a file called .": _refused(b"."),
    "a name with a way up": _refused(b"../../escaped"),
    "a name with a way up inside": _refused(b"lib/../../escaped"),
    "an absolute name": _refused(b"/escaped"),
    "a slash at the end": _refused(b"escaped/"),
    "backslashes": _refused(b"..\\..\\escaped", "backslash"),
    "a name with a newline": _refused(b"a\nb", "control character"),
    "a name with a bell": _refused(b"a\x07", "control character"),
    "a name that is not UTF-8": _refused(b"\xff\xfe", "not UTF-8"),
    "a name with half a surrogate": _refused(b"\xed\xa0\x80", "not UTF-8"),
    "a name of 300 bytes": _refused(b"n" * 300, "too long"),
    "a name of 100,000 bytes": _refused(b"n" * 100_000, "bytes; at most 1024"),
    "a name with a slash": _kept(b"lib/a.py"),
    "a name like an option": _kept(b"--output=escaped"),
    "a name like a pattern": _kept(b":(top)*"),
    "a name of spaces": _kept(b"   "),
    "a name that reads backwards": _kept("\u202etxt.py".encode()),
    "a generated name": Case(lambda raw: raw.publish(raw.program({b"env.json": b"{}", b"schema.json": {b"x": b"y"}}))),
    "one name twice": Case(
        lambda raw: raw.publish(raw.program({}, (b"100644", b"main.py", raw.blob(b"2")))), archive=TWICE
    ),
    "a file and a folder of one name": Case(
        lambda raw: raw.publish(raw.program({}, (b"40000", b"main.py", raw.tree_of({b"x": b"x"})))), archive=TWICE
    ),
    "a deep tree": _deep(200),
    "a tree deeper than Python recurs": _deep(1_200),
    "an empty tree": Case(lambda raw: raw.publish(raw.tree([])), examples="missing at the root", files={}),
    "an unsorted tree": Case(
        lambda raw: raw.publish(raw.tree(raw.folder_rows(PROGRAM)[::-1])), examples="missing at the root"
    ),
    "a tree that is cut": _malformed(b"100644 a\0BLOB100644 b\0abc"),
    "a tree of garbage": _malformed(b"\xff" * 100),
    "an empty name": _malformed(b"100644 \0BLOB"),
    "a mode of letters": _malformed(b"abc a\0BLOB"),
    "a mode without end": _malformed(b"1" * 100_000),
    "a folder that is a file": _lying(b"40000", "blob", sync=BROKEN),
    "a file that is a folder": _lying(b"100644", "tree", archive="cannot be read"),
    "a file that is missing": Case(
        lambda raw: raw.publish(raw.program({b"lost": Mode(b"100644", object="7" * 40)})), sync=BROKEN, unchecked=True
    ),
}
