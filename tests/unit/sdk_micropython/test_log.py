"""log.py in the real MicroPython."""

import json

from tests.support.micropython import env, run_script

HEAD = """
import asyncio, json
from pepeunit.env import Env
from pepeunit.log import Log
values = json.load(open("env.json"))
log = Log(".", lambda: Env(values))
"""


def test_the_ring_keeps_the_newest_lines_and_never_more_than_the_limit(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env(PU_MAX_LOG_LENGTH=8)))
    run_script(
        HEAD
        + """
for number in range(100):
    log.info("line %d" % number)
    lines = [json.loads(line)["text"] for line in open("log.json")]
    assert len(lines) <= 8 and lines[-1] == "line %d" % number
    first = int(lines[0].split()[1])
    assert lines == ["line %d" % n for n in range(first, number + 1)]
assert len(lines) >= 6
""",
        tmp_path,
    )


def test_levels_below_the_lowest_go_nowhere_and_secrets_are_masked(tmp_path):
    values = env(PU_MIN_LOG_LEVEL="warning")
    (tmp_path / "env.json").write_text(json.dumps(values))
    out = run_script(
        HEAD
        + """
log.debug("a"); log.info("b"); log.warning("c " + values["PU_AUTH_TOKEN"]); log.error("d"); log.critical(5)
""",
        tmp_path,
    )
    entries = [json.loads(line) for line in (tmp_path / "log.json").read_text().splitlines()]
    assert [(entry["level"], entry["text"]) for entry in entries] == [
        ("Warning", "c ***"),
        ("Error", "d"),
        ("Critical", "5"),
    ]
    assert values["PU_AUTH_TOKEN"] not in out


def test_what_the_broker_did_not_take_is_sent_again_and_nothing_twice(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env()))
    run_script(
        HEAD
        + """
sent = []
async def refuse(payload):
    return False
async def take(payload):
    sent.extend(entry["text"] for entry in json.loads(payload))
    if len(sent) < 3:
        log.info("while sending")
    return True
log.info("one"); log.info("two")
assert not asyncio.run(log.flush(refuse))
assert asyncio.run(log.flush(take))
assert sent == ["one", "two", "while sending"], sent
assert asyncio.run(log.flush(take)) and len(sent) == 3
for number in range(50):
    log.info("x" * 100 + str(number))
del sent[:]
asyncio.run(log.flush(take))
assert len(sent) == 32 and sent[-1].endswith("x49"), "bounded, the newest"
""",
        tmp_path,
    )


def test_a_line_that_a_power_cut_left_in_half_is_passed_over(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env()))
    (tmp_path / "log.json").write_text('{"level": "Info", "text": "whole"}\n{"level": "In')
    run_script(
        HEAD
        + """
sent = []
async def take(payload):
    sent.extend(entry["text"] for entry in json.loads(payload))
    return True
assert asyncio.run(log.sync(take))
assert sent == ["whole"]
""",
        tmp_path,
    )


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env()))
    (tmp_path / "log.json").mkdir()
    assert "goes on" in run_script(HEAD + 'log.error("goes on")', tmp_path)


def test_a_sync_that_fails_loses_no_line_and_one_that_succeeds_leaves_nothing_to_send_twice(tmp_path):
    (tmp_path / "env.json").write_text(json.dumps(env()))
    run_script(
        HEAD
        + """
sent = []
async def refuse(payload):
    return False
async def take(payload):
    lines = [entry["text"] for entry in json.loads(payload)]
    if "two" in lines and "while sending" not in sent + lines:
        log.info("while sending")
    sent.extend(lines)
    return True
log.info("one"); log.info("two")
assert not asyncio.run(log.sync(refuse))
assert asyncio.run(log.flush(take)) and sent == ["one", "two", "while sending"], sent
del sent[:]
log.info("three")
assert asyncio.run(log.sync(take)) and sent == ["one", "two", "while sending", "three"], sent
assert asyncio.run(log.flush(take)) and len(sent) == 4, sent
""",
        tmp_path,
    )
