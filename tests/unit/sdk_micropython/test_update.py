"""update.py in the real MicroPython: damage of every kind, and the memory it needs."""

import json

from tests.support.device_server import archive, digest, packed
from tests.support.micropython import COMMIT, UUID, env, run_script, schema

NEXT = "b" * 40
FILES = {
    "main.py": b"print('new')\n" * 10,
    "env.json": json.dumps(env(PU_COMMIT_VERSION=NEXT)).encode(),
    "schema.json": json.dumps(schema()).encode(),
}
STAGE = f"""
import asyncio, os
import pepeunit.files as files
import pepeunit.switch as switch
import pepeunit.update as update
from pepeunit import PepeunitError

class Canned:
    def __init__(self, body, header):
        self.body, self.headers, self.length = body, {{"repr-digest": header}}, len(body)
    async def open(self, path):
        self.at = 0
        return self
    async def readinto(self, view):
        count = min(len(view), len(self.body) - self.at)
        view[:count] = self.body[self.at : self.at + count]
        self.at += count
        return count
    def close(self):
        pass

def stage(body, header):
    return asyncio.run(update.stage(Canned(body, header), ".", {UUID!r}, {COMMIT!r}))

def refused(body, header):
    try:
        stage(body, header)
    except (PepeunitError, OSError):
        assert sorted(os.listdir(".pepeunit")) == ["installed.json"], os.listdir(".pepeunit")
        assert files.read("main.py") == b"old"
        return True
    return False

body = files.read("body")
header = str(files.read("digest"), "utf-8")
files.write("main.py", b"old")
switch.record_installed(".", {COMMIT!r}, [])
"""


def put(directory, body):
    (directory / "body").write_bytes(body)
    (directory / "digest").write_text(digest(body)["Repr-Digest"])


def test_every_sampled_bit_flip_and_truncation_of_an_archive_is_refused_s2(tmp_path):
    put(tmp_path, packed(archive(FILES)))
    run_script(
        STAGE
        + f"""
for index in range(0, len(body), 3):
    flipped = bytearray(body)
    flipped[index] ^= 1 << index % 8
    assert refused(bytes(flipped), header), index
for size in range(0, len(body), 5):
    assert refused(body[:size], header), size
assert stage(body, header) == {NEXT!r}
assert files.is_file(".pepeunit/switch.json")
""",
        tmp_path,
    )


def test_damage_that_the_digest_covers_is_refused_by_the_reader_or_harmless_s2(tmp_path):
    """As if the gateway had packed a damaged stream: nothing half or unreadable may reach the switch."""
    body = packed(archive(FILES))
    put(tmp_path, body)
    run_script(
        STAGE
        + """
import binascii, hashlib
def own(data):
    return "sha-256=:" + str(binascii.b2a_base64(hashlib.sha256(data).digest()), "utf-8").strip() + ":"
for size in range(0, len(body) - 8, 11):
    assert refused(body[:size], own(body[:size])), size
""",
        tmp_path,
    )


def test_a_digest_in_any_documented_form_is_found_and_any_other_refused_s2(tmp_path):
    body = packed(archive(FILES))
    put(tmp_path, body)
    good = digest(body)["Repr-Digest"]
    bad = ["", "sha-256", "sha-256=", "sha-256=::", "sha-256=:AAAA:", good.replace("sha-256", "sha-512"), good[:-1]]
    run_script(
        STAGE
        + f"""
for header in {bad!r}:
    assert refused(body, header), header
assert stage(body, "sha-512=:AAAA:, " + {good!r}) == {NEXT!r}
""",
        tmp_path,
    )


def test_a_version_that_cannot_run_here_is_refused(tmp_path):
    changes = {
        "other unit": {"env.json": json.dumps(env(PU_AUTH_TOKEN="x.e30.y")).encode()},
        "no commit": {"env.json": json.dumps(env(PU_COMMIT_VERSION="")).encode()},
        "bad schema": {"schema.json": b"{}"},
        "in the way of notes": {"notes.txt/x.py": b""},
        "in the way of a folder": {"mine": b""},
        "no main": {},
    }
    put(tmp_path, b"")
    script = STAGE + 'files.write("notes.txt", b"mine")\nfiles.make_folders("mine/x")\nfiles.write("mine/x", b"")\n'
    for number, (why, change) in enumerate(changes.items()):
        files = {**FILES, **change}
        if why == "no main":
            del files["main.py"]
        body = packed(archive(files))
        (tmp_path / f"body{number}").write_bytes(body)
        script += f"assert refused(files.read('body{number}'), {digest(body)['Repr-Digest']!r}), {why!r}\n"
    run_script(script + "assert files.read('notes.txt') == b'mine'", tmp_path)


def test_a_file_that_is_not_ours_to_replace_is_left_alone(tmp_path):
    body = packed(archive({**FILES, "log.json": b"theirs"}))
    put(tmp_path, body)
    (tmp_path / "log.json").write_text("mine")
    run_script(STAGE + 'stage(body, header)\nswitch.recover(".")\nassert files.read("log.json") == b"mine"', tmp_path)


def test_a_version_of_500_kb_is_staged_in_a_small_heap(tmp_path):
    put(tmp_path, packed(archive({**FILES, "data.bin": bytes(range(256)) * 2000})))
    run_script(STAGE.replace('body = files.read("body")', "") + """
class Streamed(Canned):
    def __init__(self):
        self.file = open("body", "rb")
        self.headers, self.length = {"repr-digest": header}, os.stat("body")[6]
    async def open(self, path):
        return self
    async def readinto(self, view):
        return self.file.readinto(view)
""" + f"asyncio.run(update.stage(Streamed(), '.', {UUID!r}, {COMMIT!r}))", tmp_path, heap="80k")  # fmt: skip
