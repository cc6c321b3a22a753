"""The main job from end to end, as `make demo` plays it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(360)
def test_a_git_push_reaches_two_running_units() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=330
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    assert "The main job, end to end:" in done.stdout
