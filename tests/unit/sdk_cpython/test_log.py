import json
import logging
import stat
from datetime import UTC, datetime

import pytest

from pepeunit.env import Env
from pepeunit.log import Log, batches
from tests.support.micropython import env, token


@pytest.fixture(autouse=True)
def quiet():
    logger = logging.getLogger("pepeunit")
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(logging.NOTSET)


def make(directory, **changes):
    values = Env(env(**changes))
    return Log(directory, lambda: values, now=lambda: datetime(2024, 5, 1, 12, tzinfo=UTC))


def stored(directory):
    return [json.loads(line) for line in (directory / "log.json").read_text().splitlines()]


def test_an_entry_has_level_text_and_time_with_offset(tmp_path):
    make(tmp_path).warning("too warm")
    assert stored(tmp_path) == [
        {"level": "Warning", "text": "too warm", "create_datetime": "2024-05-01T12:00:00+00:00"},
    ]


def test_the_file_never_holds_more_lines_than_allowed_and_keeps_the_newest(tmp_path):
    log = make(tmp_path, PU_MAX_LOG_LENGTH=16)
    for number in range(100):
        log.info(str(number))
        entries = stored(tmp_path)
        assert len(entries) <= 16
        assert entries[-1]["text"] == str(number)
        assert len(entries) >= min(number + 1, 14)
    assert [json.loads(line) for line in log.lines()] == stored(tmp_path)


def test_levels_below_the_least_go_nowhere(tmp_path):
    log = make(tmp_path, PU_MIN_LOG_LEVEL="Warning")
    log.debug("a")
    log.info("b")
    log.error("c")
    log.critical("d")
    assert [entry["level"] for entry in stored(tmp_path)] == ["Error", "Critical"]
    assert len(log.pending()) == 2


def test_secrets_are_masked_and_the_file_is_private(tmp_path):
    make(tmp_path).error(f"handler failed with {token()}")
    assert stored(tmp_path)[0]["text"] == "handler failed with ***"
    assert stat.S_IMODE((tmp_path / "log.json").stat().st_mode) == 0o600


def test_lines_of_an_earlier_run_are_kept_and_broken_ones_left_out(tmp_path):
    (tmp_path / "log.json").write_bytes(b'{"level": "Info", "text": "before"}\n\xff\xfe broken\n{"level": 1}\n')
    log = make(tmp_path)
    log.info("now")
    assert [json.loads(line)["text"] for line in log.lines()] == ["before", "now"]
    assert len(log.pending()) == 1


def test_the_list_of_an_old_client_is_read(tmp_path):
    (tmp_path / "log.json").write_text('[{"level": "Info", "text": "a"}, {"level": "Error", "text": "b"}]')
    assert [json.loads(line)["text"] for line in make(tmp_path).lines()] == ["a", "b"]


def test_a_disk_that_refuses_ends_nothing(tmp_path):
    (tmp_path / "log.json").mkdir()
    log = make(tmp_path)
    log.info("still here")
    assert len(log.pending()) == 1


def test_sent_lines_are_no_longer_pending(tmp_path):
    log = make(tmp_path)
    log.info("a")
    sent = log.pending()
    log.info("b")
    log.sent(sent)
    assert [json.loads(line)["text"] for line in log.pending()] == ["b"]
    assert len(log.lines()) == 2


def test_odd_text_neither_fails_nor_breaks_the_payload(tmp_path):
    log = make(tmp_path)
    log.info("\ud800 \n \x00 ü")
    ((payload, _lines),) = batches(log.lines())
    assert json.loads(payload)[0]["text"].endswith("\n \x00 ü")


def test_batches_stay_below_the_limit_and_lose_no_line():
    lines = [json.dumps({"text": "é" * size}, ensure_ascii=False) for size in range(200)]
    parts = list(batches(lines, 2000))
    assert all(len(payload) <= 2000 for payload, _lines in parts)
    assert [line for _payload, held in parts for line in held] == lines
    assert [entry for payload, _lines in parts for entry in json.loads(payload)] == [json.loads(line) for line in lines]
    assert list(batches([])) == []
