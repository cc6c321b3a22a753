"""Acts killed with SIGKILL before and after every SQL statement, commit and file effect: nothing or the whole (W28)."""

import json
import subprocess
import sys

import pytest

from tests.support.killed_acts import ACTS, GOING_ON

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def reports(request):
    """Sweep every act on one database, in a process of its own, because it forks."""
    command = [sys.executable, "-m", "tests.support.killing", request.param, *ACTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=850)
    assert done.returncode == 0, done.stderr[-4000:]
    return {report["act"]: report for report in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("act", [act for act in ACTS if act not in GOING_ON])
def test_an_act_that_is_killed_anywhere_leaves_nothing_or_the_whole_w28(reports, act):
    report = reports[act]
    assert report["mixtures"] == []
    assert report["nothing"] + report["whole"] == report["points"]
    assert report["points"] > 10
    assert report["nothing"] > 5
    assert report["whole"] > 0


@pytest.mark.parametrize("act", sorted(GOING_ON))
def test_a_sync_or_a_round_of_the_sender_that_is_killed_anywhere_is_brought_to_its_end_by_the_next_start_w28(
    reports, act
):
    """What follows from a push then is as if nothing had happened: the nodes, and one Update to each unit."""
    report = reports[act]
    assert report["mixtures"] == []
    assert (report["nothing"], report["whole"]) == (0, report["points"])
    assert report["points"] > 10
