"""Syncs killed with SIGKILL before and after every file effect and program: the old or the new state (W19)."""

import json
import subprocess
import sys

import pytest

from tests.support.git_server import GitServer, WorkTree
from tests.support.killed_syncs import ACTS

pytestmark = pytest.mark.timeout(300)


def push_old(tree):
    tree.write("main.py", "print('old')\n" * 2_000)
    tree.write("lib/a.py", "a = 1\n")
    tree.commit("first")
    tree.tag("v1", message="of the old one")
    tree.branch("gone")
    tree.write("gone.py", "x\n" * 500)
    tree.commit("on a branch that goes")
    tree.git("checkout", "--quiet", "main")
    tree.commit("will be rewritten")
    tree.push()


def push_new(tree):
    tree.git("reset", "--quiet", "--hard", "HEAD~1")
    tree.git("branch", "--quiet", "-D", "gone")
    tree.write("main.py", "print('new')\n" * 2_000)
    tree.commit("rewritten")
    tree.git("tag", "--force", "v1")
    tree.branch("gone/by-now-a-folder")
    tree.bare = tree.bare.with_name("new.git")
    tree.push()


def sweep(folder, act):
    """Sweep one act in a process of its own, because it forks."""
    with GitServer(folder / "served") as server:
        tree = WorkTree.create(folder / "work", bare=server.bare("old"))
        server.bare("new")
        push_old(tree)
        push_new(tree)
        module = "tests.support.killed_syncs"
        command = [sys.executable, "-m", module, str(folder), server.url("old"), server.url("new"), act]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("act", ACTS)
def test_w19_a_sync_killed_anywhere_leaves_the_old_or_the_new_state_and_the_next_one_heals(tmp_path, act):
    report = sweep(tmp_path, act)
    assert report["mixtures"] == []
    assert report["points"] > 20
    assert report["missed"] <= report["points"] // 10
    assert report["nothing"] > 0
    assert report["whole"] > 0
