"""A push to 1,000 units that are connected: how long until the last is commanded, and what that costs the gateway.

One gateway as `pepeunit gateway run` starts it, in SQLite; the units are 1,000 MQTT sessions of this process, through
the front door. The push is told by a signed webhook, then noticed by polling; last without a spread, which is what
the gateway is able to do.
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pepeunit_gateway.registry.spreading import SLOT
from tests.benchmarks.figure import Figure, Goal
from tests.demo.processes import descendants
from tests.support.push_stage import PushStage, push_stage
from tests.support.unit_crowd import UnitCrowd
from tests.support.webhooks import Webhook

__all__ = ["NAMES", "measure"]

NAMES = ("push.poll", "push.spreadless", "push.webhook")
UNITS = 1000
SPREAD = 30.0
POLL = 60.0
LIMIT = 200.0


@dataclass(frozen=True)
class _Case:
    """`is_told` lets the gateway know of the push at once."""

    spread: float
    poll: float
    is_told: bool
    goal: float


CASES = {
    "push.webhook": _Case(SPREAD, 3600, is_told=True, goal=60),
    "push.poll": _Case(SPREAD, POLL, is_told=False, goal=SPREAD + POLL * 1.1 + 10),
    "push.spreadless": _Case(0, 3600, is_told=True, goal=10),
}


def _cpu(stage: PushStage) -> float:
    """Processor seconds of the gateway and of what it started that still runs."""
    pid, total = stage.process.process.pid, 0.0
    for one in (pid, *descendants(pid)):
        try:
            fields = (Path("/proc") / str(one) / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


async def _push(stage: PushStage, crowd: UnitCrowd, case: _Case) -> tuple[list[datetime], datetime, float]:
    """Return when the commands came, when the push was done, and the processor seconds until the last came."""
    commit = stage.commit("measured")
    async with stage.owner() as owner:
        webhook = await Webhook.make(owner, stage.registry)
        before = _cpu(stage)
        stage.tree.push()
        pushed = datetime.now(UTC)
        if case.is_told:
            reply = await webhook.github()
            if reply.status != 202:
                raise RuntimeError(f"the gateway cannot be told of the push: {reply.body}")
    await crowd.until(lambda: crowd.count(commit) == UNITS, limit=LIMIT)
    cpu = _cpu(stage) - before
    if crowd.tally(commit) != {1: UNITS}:
        raise RuntimeError(f"not every unit heard of the push once: {crowd.tally(commit)}")
    return crowd.times(commit), pushed, cpu


async def _measure(name: str, stage: PushStage) -> AsyncIterator[Figure | str]:
    case = CASES[name]
    async with stage.crowd() as crowd:
        times, pushed, cpu = await _push(stage, crowd, case)
    slots = Counter(int((time - times[0]).total_seconds() / SLOT) for time in times)
    timing = f"PU_UPDATE_SPREAD={case.spread:g}, PU_REPO_POLL_INTERVAL={case.poll:g}"
    yield f"{name}: {timing}, commands in {len(slots)} slots"
    yield Figure(f"{name}.first", (times[0] - pushed).total_seconds(), "s")
    yield Figure(f"{name}.last", (times[-1] - pushed).total_seconds(), "s", Goal("<=", case.goal))
    yield Figure(f"{name}.window", (times[-1] - times[0]).total_seconds(), "s")
    yield Figure(f"{name}.commands", len(times) / UNITS, "1/unit", Goal("<=", 1))
    yield Figure(f"{name}.slot", max(slots.values()) / UNITS * 100, "%", Goal("<=", 5) if case.spread else None)
    yield Figure(f"{name}.cpu", cpu, "s")


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Start a gateway for each case, yield settings and figures."""
    yield f"push: {UNITS} connected units of one Repo, one gateway process; a slot is {SLOT:g} s, .slot the fullest one"
    yield "push: cpu is of the gateway with mosquitto until the last command, acknowledgements of units included"
    for name in sorted(names & set(NAMES)):
        case = CASES[name]
        timing = {"PU_UPDATE_SPREAD": f"{case.spread:g}", "PU_REPO_POLL_INTERVAL": f"{case.poll:g}"}
        with tempfile.TemporaryDirectory(prefix="pepeunit-bench-") as place:
            folder = Path(place)
            stage_of = push_stage(folder, "", UNITS, **timing)
            stage = await asyncio.to_thread(stage_of.__enter__)
            try:
                async for item in _measure(name, stage):
                    yield item
            finally:
                await asyncio.to_thread(stage_of.__exit__, None, None, None)
