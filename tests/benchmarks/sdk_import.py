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
    """Yield the settings, then the ratio of the medians; the two kinds take turns, so that load hits both alike."""
    yield f"sdk.import: import {OURS} against import {BASE}, {ROUNDS} fresh interpreters each, taking turns, medians"
    _seconds(OURS), _seconds(BASE)  # the first one writes or reads the byte code
    ours, base = zip(*((_seconds(OURS), _seconds(BASE)) for _ in range(ROUNDS)), strict=True)
    ours_median, base_median = statistics.median(ours), statistics.median(base)
    yield f"sdk.import: {ours_median * 1000:.1f} ms against {base_median * 1000:.1f} ms"
    if "sdk.import" in names:
        yield Figure("sdk.import", ours_median / base_median, "x", Goal("<=", 1.3))
