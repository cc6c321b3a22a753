from pathlib import Path

import pytest

from pepeunit_gateway.firmware.refusals import Refusals, UnfitError

ONE, OTHER = Path("/a/one.stem"), Path("/b/one.stem")


def test_a_refusal_is_told_again_for_five_minutes_and_of_that_commit_alone():
    known = Refusals()
    known.note(ONE, UnfitError("not so"), 1_000.0)
    with pytest.raises(UnfitError, match="not so"):
        known.check(ONE, 1_299.0)
    known.check(ONE, 1_300.0)
    known.check(OTHER, 1_000.0)


def test_a_removed_registry_is_forgotten():
    known = Refusals()
    for path in (ONE, OTHER):
        known.note(path, UnfitError("not so"), 0.0)
    known.forget(ONE.parent)
    known.check(ONE, 0.0)
    with pytest.raises(UnfitError):
        known.check(OTHER, 0.0)


def test_only_so_many_are_remembered():
    known = Refusals()
    for number in range(600):
        known.note(Path(f"/a/{number}"), UnfitError("not so"), 0.0)
    known.check(Path("/a/0"), 0.0)
