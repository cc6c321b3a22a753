"""What `import pepeunit` costs beside what it cannot do without: asyncio and paho-mqtt."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks.figure import Figure, Goal

__all__ = ["NAMES", "measure"]

NAMES = ("sdk.import",)
ROUNDS = 21
PROGRAM = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
OURS = "pepeunit"
BASE = "asyncio, paho.mqtt.client"


def _seconds(modules: str) -> float:
    """Import in a fresh interpreter that sees no environment of the user's."""
    command = [sys.executable, "-I", "-c", PROGRAM.format(modules)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return float(done.stdout)


def measure(names: set[str]) -> Iterator[Figure | str]:
    """Yield the settings, then the ratio of the shortest times.

    The two kinds take turns, so that load hits both alike; the shortest is what it costs when nothing else runs.
    """
    yield f"sdk.import: import {OURS} against import {BASE}, {ROUNDS} fresh interpreters each, taking turns, shortest"
    _seconds(OURS), _seconds(BASE)  # the first one writes or reads the byte code
    ours, base = zip(*((_seconds(OURS), _seconds(BASE)) for _ in range(ROUNDS)), strict=True)
    for name, times in ((OURS, ours), (BASE, base)):
        yield f"sdk.import: {name}: {min(times) * 1000:.1f} ms, median {statistics.median(times) * 1000:.1f} ms"
    if "sdk.import" in names:
        yield Figure("sdk.import", min(ours) / min(base), "x", Goal("<=", 1.3))
