"""Start-up and memory of the gateway on the folder that the demo leaves behind."""

import asyncio
import http.client
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tests.benchmarks.figure import Figure, Goal
from tests.demo.processes import command_line, descendants
from tests.demo.scenario import Scenario
from tests.demo.stage import Stage
from tests.demo.steps import Steps

__all__ = ["NAMES", "measure", "pss"]

NAMES = ("gateway.memory", "gateway.start")
IDLE = 60.0
STARTS = 10
START_DEADLINE = 30.0


def pss(pid: int) -> float:
    """Proportional set size in MB (10^6 bytes); nothing for a process that has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e6 for line in rollup.splitlines() if line.startswith("Pss:"))


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


async def _memory(stage: Stage) -> AsyncIterator[Figure | str]:
    yield f"gateway.memory: PSS after the demo, its units stopped, {IDLE:.0f} s of idling"
    await asyncio.sleep(IDLE)
    total = 0.0
    for pid in (stage.gateway.pid, *descendants(stage.gateway.pid)):
        size = pss(pid)
        total += size
        yield f"gateway.memory: {size:6.1f} MB  {command_line(pid)[:80]}"
    yield Figure("gateway.memory", total, "MB", Goal("<=", 150))


async def _start(stage: Stage) -> float:
    begun = time.monotonic()
    await stage.gateway.start()
    while not await asyncio.to_thread(_is_ready, stage.http_port):
        if time.monotonic() - begun > START_DEADLINE or stage.gateway.exit_code is not None:
            raise RuntimeError(f"the gateway does not start:\n{stage.gateway.tail()}")
        await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def _starts(stage: Stage) -> AsyncIterator[Figure | str]:
    yield f"gateway.start: from the command to 200 at /readyz on the demo's folder, median of {STARTS} warm starts"
    times = []
    for _ in range(STARTS):
        times.append(await _start(stage))
        await stage.stop_gateway()
    yield f"gateway.start: {' '.join(f'{one:.2f}' for one in sorted(times))} s"
    yield Figure("gateway.start", statistics.median(times), "s", Goal("<=", 2))


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Play the demo once, then yield settings and figures."""
    with tempfile.TemporaryDirectory(prefix="pepeunit-bench-") as folder:
        stage = Stage(Path(folder))
        scenario = Scenario(stage, Steps(lambda _: None))
        yield "gateway: the demo is played first (2 units, 2 links, 4 outputs and 1 input each)"
        try:
            await scenario.play()
            await stage.stop_units()
            if "gateway.memory" in names:
                async for line in _memory(stage):
                    yield line
            await stage.stop_gateway()
            if "gateway.start" in names:
                async for line in _starts(stage):
                    yield line
        finally:
            await stage.close()
            scenario.close()
