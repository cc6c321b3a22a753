"""The steps of the demo: their deadlines, what they say and their table."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.demo import __main__ as demo
from tests.demo.steps import StepError, Steps


async def test_a_step_that_happens_returns_its_result_and_is_printed() -> None:
    said: list[str] = []
    steps = Steps(said.append)
    assert await steps.run("two and two", 5, asyncio.sleep(0, result=4)) == 4
    assert "two and two" in said[0]
    assert "two and two" in steps.table()


async def test_a_step_past_its_deadline_fails_with_its_name_and_what_was_seen() -> None:
    steps = Steps(lambda _: None)

    async def look() -> str:
        return "still 1.0.0"

    with pytest.raises(StepError, match=r"the new version: not within 0.05 s; seen last: 'still 1.0.0'"):
        await steps.run("the new version", 0.05, steps.until(look, lambda seen: seen == "1.1.0"))
    assert steps.records == []


async def test_a_step_that_raises_fails_with_its_name_and_the_reason() -> None:
    async def broken() -> None:
        raise ValueError("no such file in the archive")

    with pytest.raises(StepError, match="unpacking: ValueError: no such file in the archive"):
        await Steps(lambda _: None).run("unpacking", 5, broken())


async def test_a_demo_whose_gateway_cannot_start_names_the_step_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert await demo.play(tmp_path) == 1
    assert "FAILED at the step: the gateway starts and answers" in capsys.readouterr().out
