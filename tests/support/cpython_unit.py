"""A unit of the CPython SDK, run inside the test or as a program of its own."""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pepeunit import Unit
from pepeunit.backoff import Backoff, Pace
from tests.support.unit_folder import live_files

__all__ = ["DEADLINE", "QUICK", "contents", "lay_out", "logs", "program", "running", "texts"]

DEADLINE = 20.0
# Short pauses, so that a test sees the second try.
QUICK = Pace(session=Backoff(0.05, 0.2), errand=Backoff(0.05, 0.2), log_batch=0.01)


def lay_out(directory: Path, env: dict[str, Any], schema: dict[str, Any], **files: str) -> Path:
    """Write a unit's files; `main_py="..."` becomes main.py."""
    directory.mkdir(exist_ok=True)
    (directory / "env.json").write_text(json.dumps(env))
    (directory / "schema.json").write_text(json.dumps(schema))
    for name, text in files.items():
        (directory / name.replace("_py", ".py")).write_text(text)
    return directory


@contextlib.asynccontextmanager
async def running(unit: Unit) -> AsyncIterator["asyncio.Task[int]"]:
    """Serve a unit in this loop until the block ends; the task's result is its exit code."""
    task = asyncio.create_task(unit.serve())
    try:
        yield task
    finally:
        if not task.done():
            unit.stop()
        async with asyncio.timeout(DEADLINE):
            await task


@contextlib.asynccontextmanager
async def program(main: Path, *options: str, console: Path | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """`pepeunit device run` on a program, ended with its child when the block ends, printing to `console`."""
    code = "import sys; from pepeunit._command import main; sys.exit(main(sys.argv[1:]))"
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(console.open("ab")) if console is not None else None
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, "device", "run", str(main), *options,
            cwd=main.parent, env=dict(os.environ), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(DEADLINE):
            await process.wait()


class _Wake(logging.Handler):
    def __init__(self, event: asyncio.Event) -> None:
        super().__init__()
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        del record
        self._event.set()


async def logs(unit: Unit, text: str, times: int = 1) -> None:
    """Wait until the unit has logged `text` so many times."""
    written = asyncio.Event()
    handler = _Wake(written)
    logger = logging.getLogger("pepeunit")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        async with asyncio.timeout(DEADLINE):
            while texts(unit).count(text) < times:
                await written.wait()
                written.clear()
    except TimeoutError:
        raise AssertionError(f"{text!r} was not logged {times} times:\n{texts(unit)}") from None
    finally:
        logger.removeHandler(handler)


def texts(unit: Unit) -> str:
    """Everything the unit has logged."""
    return "\n".join(json.loads(line)["text"] for line in unit.log.lines())


def contents(directory: Path) -> dict[str, bytes]:
    """Every file of the program, the unit and its user."""
    return live_files(directory)
