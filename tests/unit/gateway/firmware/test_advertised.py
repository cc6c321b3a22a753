import os
import subprocess

import pytest

from pepeunit_gateway.firmware.advertised import AdvertisementError, parse_http, parse_list
from pepeunit_gateway.firmware.refs import Refs, parse_show_ref
from tests.support.git_server import GitServer, WorkTree

A, B, C = "a" * 40, "b" * 40, "c" * 40
ZERO = "0" * 40
SERVICE = b"001e# service=git-upload-pack\n0000"
CAPABILITIES = "\0multi_ack symref=HEAD:refs/heads/main object-format=sha1 agent=git/2.39.5"


def packet(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"%04x" % (len(data) + 4) + data


def http(*lines, capabilities=CAPABILITIES):
    first = [packet(lines[0] + capabilities + "\n")] if lines else []
    return b"".join([SERVICE, *first, *(packet(f"{line}\n") for line in lines[1:]), b"0000"])


def test_branches_and_tags_are_read_and_everything_else_is_left_out():
    body = http(
        f"{A} HEAD", f"{A} refs/heads/main", f"{B} refs/heads/a/b", f"{C} refs/pull/1/head", f"{C} refs/tags/v1",
        f"{B} refs/tags/v1^{{}}", f"{A} refs/tags/v2",
    )  # fmt: skip
    assert parse_http(body) == Refs({"main": A, "a/b": B}, {"v1": B, "v2": A})


@pytest.mark.parametrize("body", [SERVICE + b"0000", http(f"{ZERO} capabilities^{{}}")])
def test_an_empty_repository_announces_nothing(body):
    assert parse_http(body) == Refs({}, {})


def test_names_that_are_not_utf8_are_left_out_as_in_a_mirror():
    line = f"{A} refs/heads/".encode() + b"\xff"
    body = SERVICE + packet(f"{A} refs/heads/ж{CAPABILITIES}\n") + packet(line) + b"0000"
    assert parse_http(body) == Refs({"ж": A}, {})


ODD = {
    "nothing": b"",
    "a page": b"<!doctype html>",
    "another service": http(f"{A} refs/heads/main").replace(b"upload", b"uplode"),
    "no service": http(f"{A} refs/heads/main").removeprefix(SERVICE),
    "no flush after the service": http(f"{A} refs/heads/main").replace(SERVICE, SERVICE[:-4]),
    "no end": http(f"{A} refs/heads/main")[:-4],
    "a packet that is cut off": http(f"{A} refs/heads/main")[:-9],
    "more after the end": http(f"{A} refs/heads/main") + b"0000",
    "a page after the end": http(f"{A} refs/heads/main") + b"<html>",
    "a length that is no number": SERVICE + b"zzzz0000",
    "a length with a sign": SERVICE + b"+03d" + f"{A} refs/heads/main{CAPABILITIES}".encode(),
    "a huge length": SERVICE + b"ffff" + bytes(70_000) + b"0000",
    "a packet of nothing": SERVICE + b"00040000",
    "a delimiter of version 2": SERVICE + b"00010000",
    "version 1": SERVICE + packet("version 1\n") + http(f"{A} refs/heads/main").removeprefix(SERVICE),
    "version 2": SERVICE + packet("version 2\n") + packet("ls-refs\n") + b"0000",
    "an error": SERVICE + packet("ERR access denied\n") + b"0000",
    "names of SHA-256": http(f"{'a' * 64} refs/heads/main", capabilities="\0object-format=sha256"),
    "a format of SHA-256": http(f"{A} refs/heads/main", capabilities="\0object-format=sha256"),
    "two formats": http(f"{A} refs/heads/main", capabilities="\0object-format=sha1 object-format=sha256"),
    "no capabilities": http(f"{A} refs/heads/main", capabilities=""),
    "capabilities twice": http(f"{A} refs/heads/a", f"{A} refs/heads/b{CAPABILITIES}"),
    "a ref twice": http(f"{A} refs/heads/main", f"{B} refs/heads/main"),
    "a ref without an object": http(f"{A} refs/heads/main", f"{ZERO} refs/heads/dev"),
    "refs of an empty repository": http(f"{ZERO} capabilities^{{}}", f"{A} refs/heads/main"),
    "an empty repository at the end": http(f"{A} refs/heads/main", f"{ZERO} capabilities^{{}}"),
    "a peeled tag alone": http(f"{A} refs/tags/v1^{{}}"),
    "a peeled tag elsewhere": http(f"{A} refs/tags/v1", f"{A} refs/tags/v2", f"{B} refs/tags/v1^{{}}"),
    "peeled twice": http(f"{A} refs/tags/v1", f"{B} refs/tags/v1^{{}}", f"{B} refs/tags/v1^{{}}^{{}}"),
    "a shallow repository": http(f"{A} refs/heads/main", f"shallow {A}"),
    "a name with a space": http(f"{A} refs/heads/ma in"),
    "a name with a line feed": http(f"{A} refs/heads/main", f"{A} refs/heads/x\n{B} refs/heads/y"),
    "no name": http(f"{A} "),
    "upper case": http(f"{'A' * 40} refs/heads/main"),
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_what_is_odd_is_refused(body):
    with pytest.raises(AdvertisementError):
        parse_http(body)


def test_what_git_itself_announces_is_what_a_mirror_shows(tmp_path):
    bare = GitServer(tmp_path).bare("sample")
    tree = WorkTree.create(tmp_path / "work", bare=bare)
    tree.commit("first")
    tree.tag("inner", message="one")
    for arguments in [
        ("tag", "--annotate", "--message", "two", "nested", "inner"),
        ("tag", "light"),
        ("update-ref", "refs/heads/--dash", "HEAD"),
        ("update-ref", "refs/heads/ж/HEAD", "HEAD"),
        ("update-ref", "refs/notes/x", "HEAD"),
    ]:
        tree.git(*arguments)
    tree.push()

    def git(*arguments):
        environment = {"PATH": os.environ["PATH"]}
        return subprocess.run(["git", *arguments], check=True, capture_output=True, timeout=60, env=environment).stdout

    announced = parse_list(git("upload-pack", "--strict", "--http-backend-info-refs", str(bare)))
    assert announced == parse_show_ref(git(f"--git-dir={bare}", "show-ref", "--heads", "--tags", "--dereference"))
    assert sorted(announced.tags) == ["inner", "light", "nested"]
