import io
import json
import logging
import stat
import sys
from datetime import UTC, datetime

import pytest

import pepeunit.log
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


@pytest.fixture
def alone(monkeypatch):
    """As in a program that has not set up logging; here pytest has."""
    bare = logging.Logger("pepeunit")  # noqa: LOG001 - getLogger would give the one that pytest listens to
    monkeypatch.setattr(pepeunit.log, "_logger", bare)


@pytest.mark.usefixtures("alone")
def test_every_line_is_printed_once_to_stderr_with_its_level(tmp_path, capsys):
    log = make(tmp_path, PU_MIN_LOG_LEVEL="Info")
    log.debug("no")
    log.info("connected")
    text = f"failed with {token()}"
    log.error(text)
    assert capsys.readouterr() == ("", "Info: connected\nError: failed with ***\n")


@pytest.mark.usefixtures("alone")
def test_a_disk_that_refuses_is_told_on_stderr(tmp_path, capsys):
    (tmp_path / "log.json").mkdir()
    make(tmp_path).info("still here")
    assert capsys.readouterr().err.splitlines()[0].startswith("Warning: cannot write ")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("stream", ["none", "closed", "gone"])
def test_a_terminal_that_is_gone_ends_nothing(tmp_path, monkeypatch, stream):
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", {"none": None, "closed": closed, "gone": Gone()}[stream])
    log = make(tmp_path)
    log.info("still here")
    assert len(log.pending()) == 1


def test_a_program_that_has_set_up_logging_gets_the_lines_there_and_not_twice(tmp_path, caplog, capsys):
    with caplog.at_level(logging.DEBUG, logger="pepeunit"):
        make(tmp_path).warning("100 % warm")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", "100 % warm")]
    assert "100 % warm" not in capsys.readouterr().err
