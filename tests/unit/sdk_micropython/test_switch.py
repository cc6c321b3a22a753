"""switch.py in the real MicroPython; the power cuts are in tests/powercut."""

from tests.support.micropython import run_script

HEAD = """
import os
import pepeunit.files as files
import pepeunit.switch as switch

def tree():
    return {name: files.read(name) for name in files.list_files(".") if not name.endswith("script_of_the_test.py")}

def put(contents, base=""):
    for name in contents:
        files.make_folders(base + name)
        files.write(base + name, contents[name])
"""


def test_without_a_journal_nothing_happens_and_remains_are_swept(tmp_path):
    run_script(
        HEAD
        + """
assert not switch.recover(".")
assert tree() == {}
put({"main.py": b"old", ".pepeunit/next/main.py": b"new", ".pepeunit/download": b"x", "env.json.new": b"y"})
assert not switch.recover(".") and not switch.recover()
assert tree() == {"main.py": b"old"}
""",
        tmp_path,
    )


def test_recovery_can_be_begun_anew_after_every_step(tmp_path):
    run_script(
        HEAD
        + """
old = {"main.py": b"old", "a.py": b"old a", "gone/b.py": b"old b", "env.json": b"1", "schema.json": b"1", "notes": b"n"}
new = {"main.py": b"new", "a.py": b"new a", "c/d.py": b"new d", "env.json": b"2", "schema.json": b"2"}
expected = dict(new)
expected["notes"] = b"n"
steps = 0

class Cut(Exception):
    pass

class Counting:
    def __init__(self, left):
        self.left = left
    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in ("rename", "remove", "mkdir", "rmdir"):
            return real
        def call(*arguments):
            if not self.left:
                raise Cut
            self.left -= 1
            return real(*arguments)
        return call

for cut in range(1000):
    files.remove_folder("u")
    os.mkdir("u")
    put(old, "u/")
    switch.record_installed("u", "old", [name for name in old if name != "notes"])
    put(new, "u/.pepeunit/next/")
    switch.begin("u", "new", list(new))
    left = cut
    cuts = 0
    while True:
        switch.os = files.os = Counting(left)
        try:
            switch.recover("u")
            break
        except Cut:
            cuts += 1
            left = max(left // 2, 5)
        finally:
            switch.os = files.os = os
    found = {name: files.read("u/" + name) for name in files.list_files("u") if not name.startswith(".pepeunit")}
    assert found == expected, (cut, found)
    record = switch.installed("u")
    assert record["commit"] == "new" and sorted(record["files"]) == sorted(new), (cut, record)
    left = os.listdir("u/.pepeunit")
    assert left == ["installed.json"] and not files.is_folder("u/gone"), (cut, left)
    if not cuts:
        break
assert cut > 12, cut
print(cut)
""",
        tmp_path,
    )


def test_main_env_and_schema_come_last(tmp_path):
    run_script(
        HEAD
        + """
os.mkdir(".pepeunit")
switch.begin(".", "c", ["env.json", "main.py", "a.py", "schema.json", "z.py"])
journal = files.read_json(".pepeunit/switch.json")
assert journal["files"] == ["a.py", "z.py", "main.py", "schema.json", "env.json"], journal
""",
        tmp_path,
    )


def test_a_broken_record_means_no_known_version(tmp_path):
    run_script(
        HEAD
        + """
assert switch.installed(".") is None
for text in (b"", b"{", b"[]", b'{"commit": 5, "files": 7}'):
    put({".pepeunit/installed.json": text})
    assert switch.installed(".") == {"commit": "", "files": []}
""",
        tmp_path,
    )


def test_a_unit_finishes_a_cut_switch_before_anything_else(tmp_path):
    run_script(
        HEAD
        + """
put({"main.py": b"old", ".pepeunit/next/main.py": b"new"})
switch.begin(".", "c", ["main.py"])
from pepeunit import RESTART_EXIT_CODE, Unit
assert RESTART_EXIT_CODE == 75
Unit()
""",
        tmp_path,
        code=75,
    )
    assert (tmp_path / "main.py").read_bytes() == b"new"


def test_a_board_is_reset_where_a_program_would_exit(tmp_path):
    (tmp_path / "machine.py").write_text("def reset():\n    print('reset')\n    raise SystemExit(3)\n")
    out = run_script(
        HEAD
        + """
import sys
sys.path.insert(0, ".")
put({".pepeunit/next/main.py": b"new"})
switch.begin(".", "c", ["main.py"])
from pepeunit import Unit
Unit()
""",
        tmp_path,
        code=3,
    )
    assert out == "reset\n"


def test_recover_needs_little_memory(tmp_path):
    run_script("from pepeunit import recover\nassert not recover('.')", tmp_path, heap="40k")
