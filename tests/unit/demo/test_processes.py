"""The processes of the demo: logs, restarts and their end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.demo.processes import Program, UnitProgram, descendants, is_alive
from tests.demo.steps import Steps

DEADLINE = 10.0
COUNTING = """
import pathlib, sys, time
starts = pathlib.Path("starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
if len(starts.read_text()) == 1:
    sys.exit(75)
print("second start", flush=True)
time.sleep(60)
"""


async def wait_for_text(program: Program, text: str) -> None:
    steps = Steps(lambda _: None)

    async def tail() -> str:
        return program.tail()

    await steps.run(f"{text!r} in the log", DEADLINE, steps.until(tail, lambda seen: text in seen))


def make(kind: type[Program], folder: Path, source: str) -> Program:
    return kind("made", [sys.executable, "-c", source], folder, dict(os.environ), folder / "made.log")


async def test_a_unit_that_asks_for_a_restart_is_started_again(tmp_path: Path) -> None:
    unit = make(UnitProgram, tmp_path, COUNTING)
    await unit.start()
    await wait_for_text(unit, "second start")
    await unit.stop()
    assert unit.restarts == 1
    assert (tmp_path / "starts").read_text() == "xx"


async def test_a_unit_that_ends_otherwise_stays_ended(tmp_path: Path) -> None:
    unit = make(UnitProgram, tmp_path, "raise SystemExit(3)")
    await unit.start()
    assert await asyncio.wait_for(unit.wait(), DEADLINE) == 3
    assert (await unit.stop())[0] == 3
    assert unit.restarts == 0


async def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    source = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    program = make(Program, tmp_path, source)
    await program.start()
    await wait_for_text(program, "deaf")
    code, _ = await program.stop(signal.SIGTERM, grace=0.2)
    assert code == -signal.SIGKILL
    assert not is_alive(program.pid)


async def test_descendants_are_found_until_they_end(tmp_path: Path) -> None:
    source = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(7, flush=True); input()'])"
    program = Program(
        "parent",
        [sys.executable, "-c", source.replace("input()", "import time; time.sleep(60)")],
        tmp_path,
        dict(os.environ),
        tmp_path / "parent.log",
    )
    await program.start()
    await wait_for_text(program, "7")
    children = descendants(program.pid)
    assert len(children) == 1
    assert is_alive(children[0])
    os.kill(children[0], signal.SIGKILL)
    await program.wait()
    assert not is_alive(children[0])
