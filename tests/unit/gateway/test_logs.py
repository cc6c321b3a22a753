"""Every line of the log is one object, whoever says it."""

import json
import subprocess
import sys

import pytest

SPEAKERS = """
import asyncio, logging, sys, threading, warnings
import structlog
from pepeunit_gateway.logs import configure_logs

configure_logs("{form}", "{level}")
structlog.get_logger("ours").info("ours.happened", number=1)
structlog.get_logger("ours").debug("ours.detail")
for name in ("aiohttp.server", "aiohttp.access", "asyncio", "gmqtt", "sqlalchemy.engine"):
    logging.getLogger(name).warning("%s says\\nsomething", name)
    logging.getLogger(name).info("not heard")
warnings.warn("an old way", stacklevel=1)
try:
    raise ValueError("two\\nlines")
except ValueError:
    structlog.get_logger("ours").exception("ours.failed")

def broken():
    raise RuntimeError("in a thread")

thread = threading.Thread(target=broken)
thread.start()
thread.join()

async def forget():
    asyncio.get_running_loop().call_soon(broken)
    await asyncio.sleep(0)

asyncio.run(forget())
import uvloop
uvloop.run(forget())
raise RuntimeError("at the end")
"""


def _said(form, level="INFO"):
    code = SPEAKERS.format(form=form, level=level)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def lines():
    return [json.loads(line) for line in _said("json")]


def test_every_line_of_json_has_a_time_a_level_and_an_event(lines):
    assert all({"time", "level", "event"} <= line.keys() for line in lines)
    assert all(line["time"].endswith("Z") for line in lines)


def test_libraries_warnings_threads_loops_and_the_end_of_the_process_speak_in_the_same_form(lines):
    events = [line["event"] for line in lines]
    for name in ("aiohttp.server", "aiohttp.access", "asyncio", "gmqtt", "sqlalchemy.engine"):
        assert f"{name} says\nsomething" in events
    assert events.count("ours.happened") == 1
    assert events.count("ours.failed") == 1
    assert len([event for event in events if "an old way" in event]) == 1
    assert len([event for event in events if event.startswith("Exception in callback")]) == 2
    assert events[-1] == "process.failed"
    assert "thread.failed" in events
    assert not {"ours.detail", "not heard"} & set(events)


def test_an_error_stays_on_its_line(lines):
    (failed,) = [line for line in lines if line["event"] == "ours.failed"]
    assert "ValueError: two\nlines" in failed["exception"]


def test_plain_lines_begin_with_a_time_and_hold_no_json():
    lines = _said("plain", "DEBUG")
    (line,) = [line for line in lines if "ours.happened" in line]
    assert line.startswith("20")
    assert "number=1" in line
    assert any("ours.detail" in line for line in lines)
    assert not any(line.startswith("{") for line in lines)
