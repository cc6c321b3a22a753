"""The power fails at any program or erase of the flash while a board updates itself.

Every cut of an update, clean and torn, and a sample of the rest; all of them with PEPEUNIT_POWERCUT=full. Rows S2, S3
of protocol/pitfalls.md: what stands there afterwards is the complete old or the complete new version, recorded as that.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.device_server import archive, digest, packed
from tests.support.micropython import INTERPRETER, env, environment, schema

SWEEP = Path(__file__).parent / "littlefs_sweep.py"
FULL = os.environ.get("PEPEUNIT_POWERCUT") == "full"
OLD, NEW = "a" * 40, "b" * 40
VERSIONS = {
    "old": {
        "main.py": b"import first\n" * 5,
        "first.py": b"VERSION = 'old'\n" * 60,
        "lib/gone.py": b"old " * 200,
        "turns": b"a file that becomes a folder",
        "folder/inside.py": b"a folder that becomes a file",
        "env.json": json.dumps(env(PU_COMMIT_VERSION=OLD)).encode(),
        "schema.json": json.dumps(schema()).encode(),
    },
    "new": {
        "main.py": b"import second\n" * 6,
        "first.py": b"VERSION = 'new'\n" * 70,
        "lib/deep/second.py": b"new " * 300,
        "turns/inside.py": b"# in a folder now",
        "folder": b"a file now",
        "env.json": json.dumps(env(PU_COMMIT_VERSION=NEW, MORE=1)).encode(),
        "schema.json": json.dumps(schema(output_topic={})).encode(),
    },
}


@pytest.fixture
def folder(tmp_path):
    for version, files in VERSIONS.items():
        for name, data in files.items():
            path = tmp_path / version / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    body = packed(archive(VERSIONS["new"]))
    (tmp_path / "archive").write_bytes(body)
    (tmp_path / "digest").write_text(digest(body)["Repr-Digest"])
    return tmp_path


def sweep(mode, folder, *, first=1, step=1, deep=0):
    done = subprocess.run(
        [INTERPRETER, "-X", "heapsize=8m", SWEEP, mode, folder, str(first), str(step), str(deep)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    print(mode, counts)
    return counts


def test_a_cut_anywhere_in_an_update_leaves_the_old_or_the_new_version_s2_s3(folder):
    counts = sweep("update", folder)
    assert counts["cuts"] == 2 * counts["operations"], "clean and torn, at each of them"
    assert counts["old"]
    assert counts["new"]


@pytest.mark.timeout(3600 if FULL else 120)
def test_a_cut_of_the_recovery_from_a_cut_changes_nothing_about_that(folder):
    counts = sweep("update", folder, first=1 if FULL else 5, step=1 if FULL else 31, deep=1 if FULL else 3)
    assert counts["deep"]


def test_a_cut_while_env_json_is_replaced_leaves_the_old_or_the_new_one_s1(folder):
    counts = sweep("env", folder)
    assert counts["cuts"] == 2 * counts["operations"]
    assert counts["old"]


def test_a_full_flash_refuses_the_update_or_takes_it_whole(folder):
    counts = sweep("space", folder, step=1 if FULL else 5)
    assert counts["old"]
    assert counts["new"]
