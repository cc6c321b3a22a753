"""`pepeunit device run`. Row S8 of protocol/pitfalls.md: a restart is never taken for a clean end."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from pepeunit.backoff import Backoff
from pepeunit.launcher import Launcher, Next, decide
from tests.support.cpython_unit import lay_out
from tests.support.micropython import env, schema

DEADLINE = 30.0


@pytest.mark.parametrize(
    ("code", "stopped", "once", "following"),
    [
        (0, False, False, Next.END),
        (75, False, False, Next.START),
        (75, False, True, Next.END),
        (75, True, False, Next.END),
        (1, False, False, Next.START_LATER),
        (2, False, False, Next.START_LATER),
        (-9, False, False, Next.START_LATER),
        (-15, True, False, Next.END),
        (1, False, True, Next.END),
    ],
)
def test_what_follows_an_exit_code(code, stopped, once, following):
    assert decide(code, stopped=stopped, once=once) is following


def program(directory, text, port=1):
    """A unit whose gateway listens on `port`: by default there is none."""
    return lay_out(directory, env(port), schema(), main_py=text) / "main.py"


COUNT = """
import pathlib, sys
runs = pathlib.Path("runs")
number = int(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text(str(number))
"""


def launch(path, **more):
    lines = []
    return Launcher(path, backoff=Backoff(0.0, 0.0), say=lines.append, **more), lines


def test_a_program_that_asks_for_it_is_started_again_every_time_s8(tmp_path):
    launcher, lines = launch(program(tmp_path, COUNT + "sys.exit(75 if number < 12 else 0)"))
    assert launcher.run() == 0
    assert (tmp_path / "runs").read_text() == "12"
    assert lines == []


def test_a_program_that_crashed_is_started_again_and_a_person_told(tmp_path):
    launcher, lines = launch(program(tmp_path, COUNT + "if number < 3: sys.exit(1)"))
    assert launcher.run() == 0
    assert sum("main.py ended with 1" in line for line in lines) == 2
    assert sum("no other version could be asked for" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(75)", 75), ("sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_once_returns_the_code_of_the_one_run(tmp_path, end, code):
    launcher, _lines = launch(program(tmp_path, COUNT + end), once=True)
    assert launcher.run() == code
    assert (tmp_path / "runs").read_text() == "1"


def test_a_cut_update_is_completed_before_the_program_is_read_s2(tmp_path):
    path = program(tmp_path, "raise SystemExit(9)")
    staged = tmp_path / ".pepeunit/next"
    staged.mkdir(parents=True)
    (staged / "main.py").write_text("raise SystemExit(0)")
    journal = {"commit": "b" * 40, "deletes": [], "moves": ["main.py"], "files": ["main.py"]}
    (tmp_path / ".pepeunit/switch.json").write_text(json.dumps(journal))
    launcher, _lines = launch(path)
    assert launcher.run() == 0


@contextmanager
def started(path):
    code = "import sys; from pepeunit._command import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "device", "run", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_exit_code_of_the_program_returned(tmp_path, number):
    path = program(
        tmp_path,
        f"import signal, sys\nsignal.signal({int(number)}, lambda *_: sys.exit(7))\nprint('ready', flush=True)\n"
        "while True: signal.pause()",
    )
    with started(path) as process:
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        assert process.wait(DEADLINE) == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_also_while_the_gateway_is_asked(tmp_path, number):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        path = program(tmp_path, "raise SystemExit(3)", silent.getsockname()[1])
        with started(path) as process:
            silent.settimeout(DEADLINE)
            asking, _address = silent.accept()
            with asking:
                assert b"get_target_version" in asking.recv(4096)
                os.kill(process.pid, number)
                assert process.wait(5.0) == 3
