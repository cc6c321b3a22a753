"""Finds a broker that an earlier gateway left behind, by pid and start time, and stops it.

Source: decisions.md 20. The launcher writes the pid file (`_launcher.py`): "<pid> <start time in ticks> <boot id>".
"""

import asyncio
import os
import signal
from pathlib import Path

import structlog

from pepeunit_gateway.errors import StartError

__all__ = ["stop_leftover"]

log = structlog.get_logger(__name__)

_TERM_TIMEOUT = 10.0  # seconds; mosquitto saves its queues meanwhile
_KILL_TIMEOUT = 5.0


async def stop_leftover(pid_file: Path) -> bool:
    """Stop the process that `pid_file` names if it still is the same one; tell whether there was one.

    Raises:
        StartError: it does not end.
    """
    pidfd = _open_same_process(pid_file)
    if pidfd is None:
        return False
    try:
        for number, time_limit in ((signal.SIGTERM, _TERM_TIMEOUT), (signal.SIGKILL, _KILL_TIMEOUT)):
            log.warning("broker.leftover.stopping", signal=number.name)
            if not _send(pidfd, number) or await _ended(pidfd, time_limit):
                return True
    finally:
        os.close(pidfd)
    raise StartError(
        f"A mosquitto of an earlier gateway ({pid_file}) does not end. Stop the process named there and start again."
    )


def _open_same_process(pid_file: Path) -> int | None:
    try:
        pid_text, started, boot = pid_file.read_text().split()
        pidfd = os.pidfd_open(int(pid_text))
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None  # never started, long gone, or half a file of a power cut
    # The descriptor pins the process, so what is read now cannot change to another one before the signal.
    if _start_time(int(pid_text)) == started and _boot_id() == boot:
        return pidfd
    os.close(pidfd)
    return None


def _start_time(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[19]


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _send(pidfd: int, number: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


async def _ended(pidfd: int, time_limit: float) -> bool:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pidfd, readable.set)
    try:
        async with asyncio.timeout(time_limit):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pidfd)
    return True
