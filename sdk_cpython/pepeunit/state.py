"""The state message of a unit. Source: protocol/device.md 1.4."""

import json
import os
import time
from pathlib import Path

__all__ = ["machine_state", "state_payload", "unix_millis"]

_KIB = 1024
_KHZ = 1000
_MHZ = 1_000_000


def state_payload(values: dict[str, float | list[int]], *, millis: int, installed_commit: str) -> bytes:
    """The payload: `millis` is Unix time in ms, `installed_commit` what is complete here, not the target."""
    return json.dumps({"millis": millis, **values, "pu_commit_version": installed_commit}).encode()


def unix_millis() -> int:
    """The time now, Unix time in ms."""
    return time.time_ns() // 1_000_000


def machine_state(
    directory: Path, proc: Path = Path("/proc"), devices: Path = Path("/sys/devices")
) -> dict[str, float | list[int]]:
    """Memory in bytes, clock in Hz, statvfs of the file system of `directory` (ten numbers); 0 for what is unknown."""
    memory = _memory(proc / "meminfo")
    available = memory.get("MemAvailable", 0)
    return {
        "mem_free": available,
        "mem_alloc": max(memory.get("MemTotal", 0) - available, 0),
        "freq": _frequency(devices / "system/cpu/cpu0/cpufreq/scaling_cur_freq", proc / "cpuinfo"),
        "statvfs": _file_system(directory),
    }


def _memory(path: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for line in _read(path).splitlines():
        key, _, rest = line.partition(":")
        digits = rest.split()[:1]
        if digits and digits[0].isdigit():
            sizes[key] = int(digits[0]) * _KIB
    return sizes


def _frequency(scaling: Path, cpuinfo: Path) -> int:
    if (text := _read(scaling).strip()).isdigit():
        return int(text) * _KHZ
    for line in _read(cpuinfo).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "cpu MHz":
            try:
                return round(float(value) * _MHZ)
            except ValueError:
                return 0
    return 0


def _file_system(directory: Path) -> list[int]:
    try:
        return list(os.statvfs(directory))[:10]
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
